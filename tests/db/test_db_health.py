from __future__ import annotations

import pytest
from django.db import OperationalError, connections

from scalekit.db.health import checks
from tests.db.databases import databases, replica_of, sharding, sqlite


def test_primaries_are_critical_and_replicas_and_shards_are_not(tmp_path):
    entries = {name: sqlite(tmp_path / name) for name in ("default", "shard_0")}
    entries["replica_1"] = sqlite(tmp_path / "default", SCALEKIT=replica_of("default"))
    with databases(entries, SCALEKIT_DB_SHARDING=sharding("shard_0")):
        found = {check.alias: check.critical for check in checks()}
        for check in checks():
            check.run()
    assert found == {"default": True, "replica_1": False, "shard_0": False}


def test_a_database_that_is_gone_fails_its_check_and_leaves_nothing_open(tmp_path):
    entries = {"default": sqlite(tmp_path / "no" / "folder")}
    with databases(entries):
        (check,) = checks()
        with pytest.raises(OperationalError):
            check.run()
        assert connections["default"].connection is None
