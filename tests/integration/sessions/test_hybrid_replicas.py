"""The hybrid engine while the primary is down: who was logged in stays so, wherever Redis may be believed."""

from __future__ import annotations

import pytest
from django.db import connections

from scalekit.sessions import SessionStoreUnavailable
from scalekit.sessions.checks import HYBRID
from tests.integration.sessions.conftest import NAME, fresh

pytestmark = pytest.mark.servers


class ReadsFromReplica:
    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


@pytest.fixture
def primary_down(database, valkey, use_store):
    """Return a function that cuts off the primary, for a process that has just started."""
    use_store(valkey, HYBRID)
    working = database.django_settings(NAME=NAME) | {"TEST": {}}
    connections.settings["replica"] = connections.configure_settings(
        {"default": {}, "replica": working}
    )["replica"]

    def cut_off():
        connections["default"].close()
        connections["default"].settings_dict["PORT"] = 1
        return fresh(HYBRID)

    yield cut_off
    connections["replica"].close()
    del connections["replica"], connections.settings["replica"]


@pytest.fixture
def key(primary_down):
    engine = fresh(HYBRID)
    session = engine()
    session["a"] = 1
    session.save()
    engine(session.session_key).load()  # the first reader fills
    return session.session_key


def test_a_process_that_has_just_started_learns_the_epoch_from_a_replica(
    key, primary_down, settings
):
    settings.DATABASE_ROUTERS = [f"{__name__}.ReadsFromReplica"]
    assert primary_down()(key).load() == {"a": 1}


def test_without_a_replica_it_cannot_know(key, primary_down):
    with pytest.raises(SessionStoreUnavailable):
        primary_down()(key).load()
