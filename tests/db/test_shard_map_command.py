from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from scalekit.db.conf import schemes
from scalekit.db.models import ShardMap
from scalekit.db.sharding.mapping.assigning import assign_key, init_map
from tests.db.databases import create_tables


@pytest.fixture
def mapped(shards):
    create_tables("default", app="scalekit_db")


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, no_color=True, **options)
    return out.getvalue()


def test_show_tells_where_slots_and_keys_are(mapped):
    assert "users: Slots, not stored yet" in run("shard_map", "show")
    init_map("users")
    assign_key("users", 7, "shard_1")
    shown = run("shard_map", "show", "users")
    assert "version 2" in shown
    assert "1365 slots, 1 keys of its own" in shown
    assert "█" in shown


def test_show_prints_json(mapped):
    [found] = json.loads(run("shard_map", "show", "--json"))
    assert found["shards"]["shard_0"] == {
        "slots": 1366,
        "share": 0.3335,
        "keys": 0,
        "ranges": "0-1365",
    }


def test_show_tells_how_the_keys_of_a_directory_are_spread(mapped):
    options = {"shards": ["shard_0", "shard_1"]}
    directory = {"BACKEND": "scalekit.db.sharding.directory.Directory", "OPTIONS": options}
    with override_settings(SCALEKIT_DB_SHARDING={"users": directory}):
        init_map("users")
        assign_key("users", 7, "shard_1")
        [found] = json.loads(run("shard_map", "show", "--json"))
    assert {alias: shard["share"] for alias, shard in found["shards"].items()} == {
        "shard_0": 0.0,
        "shard_1": 1.0,
    }


def test_init_stores_the_map_unless_it_is_a_dry_run(mapped):
    assert "would be stored, as version 1" in run("shard_map", "init", "--dry-run")
    assert not ShardMap.objects.exists()
    assert "users: the map is stored, version 1" in run("shard_map", "init")
    assert ShardMap.objects.get().version == 1


def test_assign_gives_slots_to_a_shard(mapped):
    init_map("users")
    said = run("shard_map", "assign", "users", "shard_2", "--slots", "0-9,12", "--dry-run")
    assert "Would assign 11 slots (0-9,12) to shard_2, as version 2" in said
    assert schemes["users"].shard_for_slot(0) == "shard_0"
    run("shard_map", "assign", "users", "shard_2", "--slots", "0-9,12", "--yes")
    assert [schemes["users"].shard_for_slot(slot) for slot in (0, 11, 12)] == [
        "shard_2",
        "shard_0",
        "shard_2",
    ]


def test_assign_gives_a_key_to_a_shard(mapped):
    init_map("users")
    run("shard_map", "assign", "users", "shard_2", "--key", "7", "--yes")
    assert run("which_shard", "users", "7").startswith(
        "shard_2 (slot 3970 of 4096, by the key itself"
    )


def test_assign_asks_first(mapped, monkeypatch):
    init_map("users")
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("shard_map", "assign", "users", "shard_2", "--key", "7")
    assert ShardMap.objects.get().version == 1


def test_assign_refuses_another_version_than_expected(mapped):
    init_map("users")
    with pytest.raises(CommandError, match="no longer at version 5"):
        run("shard_map", "assign", "users", "shard_2", "--key", "7", "--yes", "--expect", "5")


@pytest.mark.parametrize("slots", ["", "a", "3-1", "1-", "-4", "1,,2"])
def test_slots_that_are_none_are_refused(mapped, slots):
    init_map("users")
    with pytest.raises(CommandError, match="as in 0-99,200"):
        run("shard_map", "assign", "users", "shard_2", "--yes", f"--slots={slots}")


def test_split_cuts_a_range(mapped, settings):
    ranges = {
        "BACKEND": "scalekit.db.sharding.ranges.Ranges",
        "OPTIONS": {"shards": ["shard_0", "shard_1"], "boundaries": [100]},
    }
    with override_settings(SCALEKIT_DB_SHARDING={"users": ranges}):
        init_map("users")
        assert "Would cut at 500" in run("shard_map", "split", "users", "500", "--dry-run")
        assert "version 2" in run("shard_map", "split", "users", "500")
        assert ShardMap.objects.get().boundaries == ["100", "500"]


def test_unknown_groups_are_named(mapped):
    for command in (("shard_map", "show", "user"), ("hot_keys", "--group", "user")):
        with pytest.raises(CommandError, match=r"no shard group 'user'; .* has users"):
            run(*command)


def test_which_shard_prints_json(mapped):
    assert json.loads(run("which_shard", "users", "7", "--json")) == {
        "shard": schemes["users"].shard_for(7),
        "slot": 3970,
        "slots": 4096,
        "map": 0,
    }
