from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from scalekit.db.conf import schemes
from tests.db.databases import databases, sharding, sqlite


@pytest.fixture
def empty_shards(tmp_path):
    names = ("shard_0", "shard_1")
    entries = {name: sqlite(tmp_path / name) for name in ("default", *names)}
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*names)):
        yield


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def test_which_shard(shards):
    assert run("which_shard", "users", "7").startswith(schemes["users"].shard_for(7))
    with pytest.raises(CommandError, match=r"no shard group 'user'; .* has users"):
        run("which_shard", "user", "7")


def test_migrate_shards_takes_each_in_turn(empty_shards):
    assert "photos.0001_initial" in run("migrate_shards", "--plan")
    with pytest.raises(SystemExit):
        run("migrate_shards", "--check")
    done = run("migrate_shards")
    assert "[1/2] shard_0" in done
    assert "[2/2] shard_1" in done
    assert "nothing to do" in run("migrate_shards", "--check")
    tables = connections["shard_1"].introspection.table_names()
    assert "photos_photo" in tables
    assert "auth_user" not in tables
    assert "django_content_type" not in tables


def test_migrate_shards_stops_at_the_first_failure_and_says_what_remains(tmp_path):
    names = ("shard_0", "shard_1", "shard_2")
    entries = {name: sqlite(tmp_path / name) for name in ("default", *names)}
    entries["shard_1"]["NAME"] = str(tmp_path / "no" / "such" / "folder")
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*names)):
        with pytest.raises(CommandError, match=r"Migrated: shard_0\. Not begun: shard_2\."):
            run("migrate_shards")
        assert connections["shard_2"].introspection.table_names() == []
