"""Values that are unique across shards, in transactions over several of these."""
# ruff: noqa: PT012 - which of a block's writes raises is told by what is there afterwards

from __future__ import annotations

import pytest
from django.db import DatabaseError, connections
from django.test import override_settings

from scalekit.db import two_phase
from scalekit.db.conf import schemes
from scalekit.db.exceptions import LookupTaken
from scalekit.db.models import ShardLookup
from scalekit.db.sharding.lookup_index import connecting
from scalekit.db.sharding.transactions.coordinating import Coordinator
from scalekit.testing.fakes import captured_events
from tests.db.club_databases import club, club_databases
from tests.integration.db.across.conftest import ALIASES, SHARDS, end_prepared, prepared
from tests.integration.db.conftest import entry

pytestmark = pytest.mark.servers

EMAIL = "ann@example.org"


@pytest.fixture(scope="module")
def club_entries(across_server):
    for alias in ALIASES:
        across_server.execute(f"DROP DATABASE IF EXISTS club_{alias} WITH (FORCE)")
        across_server.create_database(f"club_{alias}")
    return {alias: entry(across_server, NAME=f"club_{alias}") for alias in ALIASES}


@pytest.fixture
def families(across_server, club_entries):
    """Return two families that live on different shards."""
    with club_databases(club_entries, *SHARDS), override_settings(SCALEKIT_DB_TWO_PHASE=["users"]):
        home = schemes["users"].shard_for
        yield tuple(next(key for key in range(99) if home(key) == alias) for alias in SHARDS)
        end_prepared(across_server)
        ShardLookup.objects.all().delete()
        for alias in SHARDS:
            club().Member.objects.using(alias).all()._raw_delete(alias)
        connections.close_all()


def member(family, email=EMAIL):
    return club().Member.objects.create(family=family, email=email)


def test_values_on_two_shards_are_taken_with_their_rows(families):
    here, there = families
    with two_phase("users"):
        ann, bob = member(here), member(there, "bob@example.org")
    assert club().Member.objects.get(email=EMAIL) == ann
    assert club().Member.objects.get(email="bob@example.org") == bob
    with pytest.raises(LookupTaken):
        member(there)


def test_values_of_a_block_that_came_to_nothing_are_free(families):
    here, there = families
    with pytest.raises(ZeroDivisionError), two_phase("users"):
        member(here)
        member(there, "bob@example.org")
        1 / 0  # noqa: B018 - raises
    assert member(there) == club().Member.objects.get(email=EMAIL)
    member(here, "bob@example.org")


def test_what_a_block_deletes_is_free_once_it_is_committed(families):
    here, there = families
    ann = member(here)
    with two_phase("users"):
        ann.delete()
        member(there, "bob@example.org")
    with captured_events("db_lookup_reclaimed") as events:
        member(there)
    assert not events


def test_a_value_of_a_prepared_transaction_is_nobody_else_s_until_that_is_ended(
    across_server, families, monkeypatch
):
    here, there = families
    monkeypatch.setattr(connecting, "PATIENCE_MS", 200)
    leave_prepared(here, there, monkeypatch)
    assert len(prepared(across_server)) == 2
    with pytest.raises(LookupTaken):
        member(there)
    end_prepared(across_server)
    member(there)


def leave_prepared(here, there, monkeypatch):
    """Let a coordinator fail before it decides, and not clear up."""
    monkeypatch.setattr(Coordinator, "_decide", _fail)
    monkeypatch.setattr(Coordinator, "_undo", lambda _: None)
    with pytest.raises(DatabaseError), two_phase("users"):
        member(here)
        member(there, "bob@example.org")
    connections.close_all()


def _fail(_):
    raise DatabaseError


def test_a_row_does_not_take_its_value_along_to_another_shard_in_one_block(families):
    here, there = families
    ann = member(here)
    with pytest.raises(LookupTaken), two_phase("users"):
        ann.delete()
        member(there)
    assert club().Member.objects.get(email=EMAIL).family == here
