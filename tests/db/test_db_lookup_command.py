"""`shard_lookups` compares the index with the rows, and mends it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from scalekit.db.models import ShardLookup
from tests.db.club_databases import club, club_databases, files


@pytest.fixture(autouse=True)
def members(tmp_path):
    """Five members on two shards, all of them in the index."""
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        rows = [club().Member(family=key, email=f"{key}@example.org") for key in range(5)]
        yield club().Member.objects.bulk_create(rows)


def run(*arguments):
    """Return what the command finds, and whether it exits with an error."""
    out = StringIO()
    try:
        call_command("shard_lookups", *arguments, "--json", stdout=out)
    except SystemExit:
        return json.loads(out.getvalue())[0], True
    return json.loads(out.getvalue())[0], False


def test_a_sound_index_is_said_to_be_so():
    found, failed = run("verify")
    assert (found["missing"], found["dangling"], found["twice"], failed) == (0, 0, [], False)
    assert found["checked"] == 10  # rows and entries


@pytest.mark.parametrize("arguments", [["verify"], ["rebuild", "--dry-run"]])
def test_looking_changes_nothing(members, arguments):
    ShardLookup.objects.filter(row_id=members[0].pk).delete()
    assert run(*arguments) == (
        {
            "model": "club.Member",
            "checked": 9,
            "missing": 1,
            "dangling": 0,
            "twice": [],
        },
        True,
    )
    assert ShardLookup.objects.count() == 4


def test_rebuilding_puts_rows_in_that_were_missing(members):
    ShardLookup.objects.all().delete()
    found, failed = run("rebuild")
    assert (found["missing"], failed) == (5, False)
    assert run("verify")[1] is False
    assert club().Member.objects.get(email="3@example.org") == members[3]


def test_rebuilding_removes_what_has_no_row(members):
    club().Member.objects.using(members[0]._state.db).filter(pk=members[0].pk)._raw_delete(
        members[0]._state.db
    )
    assert run("verify")[0]["dangling"] == 1
    assert run("rebuild") == (
        {"model": "club.Member", "checked": 9, "missing": 0, "dangling": 1, "twice": []},
        False,
    )
    assert ShardLookup.objects.count() == 4


@pytest.mark.parametrize("action", ["verify", "rebuild"])
def test_a_value_that_two_rows_have_is_told_and_left(members, action):
    one, other = members[0], next(m for m in members if m._state.db != members[0]._state.db)
    ShardLookup.objects.filter(row_id=other.pk).delete()
    with connections[other._state.db].cursor() as cursor:  # past the index
        cursor.execute("UPDATE club_member SET email = %s WHERE id = %s", [one.email, other.pk])
    found, failed = run(action)
    assert failed
    assert found["twice"] == [f"email of Member {other.pk}"]
    assert club().Member.objects.get(email=one.email) == one


def test_it_says_what_it_found_in_words(members):
    out = StringIO()
    call_command("shard_lookups", "verify", stdout=out)
    assert "club.Member: 10 rows and entries; found: 0 rows" in out.getvalue()


def test_a_model_without_an_index_is_told_those_that_have_one():
    with pytest.raises(CommandError, match=r"club\.Member"):
        call_command("shard_lookups", "verify", "--model", "club.Visit")
