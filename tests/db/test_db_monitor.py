from __future__ import annotations

import pytest

from scalekit.core.context import unit_of_work
from scalekit.db.cluster import current_cluster
from scalekit.db.discovery.base import Discovery
from scalekit.db.monitor.watching import _params, _watchable, monitor
from tests.db.databases import databases, replica_of

ENGINE = "scalekit.db.backends.postgresql"


class Known(Discovery):
    def primary(self):
        return ("pg-2", "6432")


def entries(**extra):
    server = {"ENGINE": ENGINE, "NAME": "shop", "HOST": "pg-1", "PORT": 5432, **extra}
    return {"default": server, "replica_1": {**server, "SCALEKIT": replica_of("default")}}


def test_the_monitor_connects_as_django_would():
    with databases(entries(USER="me", PASSWORD="secret", OPTIONS={"sslmode": "require"})):
        params = _params("default", primary=True)
    assert params["host"] == "pg-1"
    assert (params["user"], params["password"], params["sslmode"]) == ("me", "secret", "require")
    assert {"pool", "cursor_factory", "context"}.isdisjoint(params)


@pytest.mark.parametrize("engine", [ENGINE, "django.db.backends.postgresql"])
def test_of_several_hosts_it_asks_the_one_that_takes_writes(engine):
    with databases(entries(ENGINE=engine, HOST="pg-1,pg-2")):
        assert _params("default", primary=True)["target_session_attrs"] == "read-write"
        assert "target_session_attrs" not in _params("replica_1", primary=False)


def test_it_asks_whom_discovery_names():
    plug = {"default": {"BACKEND": f"{__name__}.Known"}}
    with databases(entries(), SCALEKIT_DB_DISCOVERY=plug):
        params = _params("default", primary=True)
        assert (params["host"], params["port"]) == ("pg-2", "6432")
        assert _params("replica_1", primary=False)["host"] == "pg-1"


def test_only_postgresql_with_replicas_is_watched(replicas):
    assert _watchable(current_cluster()) == []
    with databases({"default": entries()["default"]}):
        assert _watchable(current_cluster()) == []
    with databases(entries()):
        assert [primary.alias for primary in _watchable(current_cluster())] == ["default"]


def test_in_a_test_environment_it_does_not_start_by_itself(replicas):
    from tests.db.test_db_router import read

    with databases(entries()), unit_of_work():
        assert read() == "replica_1"
        assert monitor.cluster is None


def test_no_interval_is_no_monitor(settings):
    settings.SCALEKIT_DB_PROBE_SECONDS = 0
    with databases(entries()):
        monitor.watch(current_cluster())
        assert monitor._thread is None
