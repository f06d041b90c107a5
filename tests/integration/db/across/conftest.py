"""`default` and two shards, each a database of one server that lets transactions be prepared."""

from __future__ import annotations

import pytest
from django.db import connections

from scalekit.db.conf import schemes
from tests.db.databases import create_tables, databases, sharding
from tests.integration.db.conftest import entry

SHARDS = ("shard_0", "shard_1")
ALIASES = ("default", *SHARDS)
# Many times as fast as TRUNCATE, which makes new files for every table and index.
EMPTYING = """\
SELECT string_agg(format('DELETE FROM %I', tablename), ';') FROM pg_tables WHERE schemaname = 'public'"""


def entries_of(server):
    return {alias: entry(server, NAME=f"across_{alias}") for alias in ALIASES}


@pytest.fixture(scope="session")
def across_server(scalekit_topology):
    server = scalekit_topology.postgres("across", settings={"max_prepared_transactions": 20})
    for alias in ALIASES:
        server.create_database(f"across_{alias}")
    return server


@pytest.fixture
def across(across_server, shop):
    end_prepared(across_server)
    settings = {"SCALEKIT_DB_SHARDING": sharding(*SHARDS), "SCALEKIT_DB_TWO_PHASE": ["users"]}
    with databases(entries_of(across_server), **settings):
        for alias in ALIASES:
            _make_empty(across_server, alias)
        yield across_server
        connections.close_all()
    end_prepared(across_server)


def _make_empty(server, alias):
    database = f"across_{alias}"
    statements = server.value(EMPTYING, database=database)
    if statements:
        server.execute(f"SET session_replication_role = replica; {statements}", database=database)
        return
    for app in ("shop", "scalekit_db"):
        create_tables(alias, app=app)


def prepared(server):
    return [gid for (gid,) in server.execute("SELECT gid FROM pg_prepared_xacts")]


def end_prepared(server):
    for gid, database in server.execute("SELECT gid, database FROM pg_prepared_xacts"):
        server.execute(f"ROLLBACK PREPARED '{gid}'", database=database)


@pytest.fixture
def keys(across):
    return tuple(next(k for k in range(500) if schemes["users"].shard_for(k) == a) for a in SHARDS)
