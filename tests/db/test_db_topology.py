from __future__ import annotations

import pytest

from scalekit.db.topology import read_cluster


def cluster_of(**options):
    databases = {"default": {}, "analytics": {}}
    databases |= {alias: {"SCALEKIT": value} for alias, value in options.items()}
    return read_cluster(databases, {})


def test_replicas_are_grouped_under_their_primary():
    cluster = cluster_of(
        r1={"REPLICA_OF": "default", "WEIGHT": 2, "ZONE": "eu-1"},
        r2={"REPLICA_OF": "default"},
        r3={"REPLICA_OF": "analytics"},
    )
    assert [r.alias for r in cluster.primaries["default"].replicas] == ["r1", "r2"]
    assert [r.alias for r in cluster.primaries["analytics"].replicas] == ["r3"]
    assert cluster.owner["r3"] == "analytics"
    assert (cluster.primaries["default"].replicas[0].weight, cluster.active) == (2, True)
    assert cluster.is_replica("r1")
    assert not cluster.is_replica("default")


def test_nothing_configured_is_not_active():
    assert not cluster_of().active


@pytest.mark.parametrize(
    ("options", "number", "hint"),
    [
        ("default", 1, "REPLICA_OF"),
        ({"REPLICA_FO": "default"}, 1, "Did you mean REPLICA_OF"),
        ({"REPLICA_OF": "nowhere"}, 2, "default, analytics"),
        ({"REPLICA_OF": ["default"]}, 2, "default"),
        ({"REPLICA_OF": "broken"}, 3, "default"),
        ({"REPLICA_OF": "good"}, 3, "default"),
        ({"REPLICA_OF": "default", "WEIGHT": 0}, 4, "whole number"),
        ({"REPLICA_OF": "default", "WEIGHT": True}, 4, "whole number"),
        ({"REPLICA_OF": "default", "WEIGHT": 1.5}, 4, "whole number"),
        ({"REPLICA_OF": "default", "ZONE": 1}, 5, "name"),
    ],
)
def test_a_wrong_value_is_a_fault_that_says_what_to_type(options, number, hint):
    cluster = cluster_of(good={"REPLICA_OF": "default"}, broken=options)
    (fault,) = cluster.faults
    assert fault.number == number
    assert 'DATABASES["broken"]' in fault.text
    assert hint in fault.hint
