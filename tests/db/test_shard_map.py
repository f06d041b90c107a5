"""The stored slot map: from its first version on, it decides."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections, router, transaction
from django.test import override_settings

from scalekit.core.exceptions import SettingInvalid
from scalekit.db import on_every_shard
from scalekit.db.conf import schemes
from scalekit.db.exceptions import (
    KeyUnassigned,
    ShardMapConflict,
    ShardMapInvalid,
    ShardMapUnavailable,
)
from scalekit.db.models import ShardMap, ShardMapKey
from scalekit.db.sharding.mapping import loading
from scalekit.db.sharding.mapping.assigning import (
    assign_key,
    assign_slots,
    init_map,
    set_live,
    split_range,
)
from scalekit.testing.fakes import captured_events
from tests.db.databases import create_tables, databases, sharding, sqlite

NAMES = ("shard_0", "shard_1", "shard_2")


def of(kind, shards=NAMES, **options):
    path = f"scalekit.db.sharding.{kind.lower()}.{kind}"
    return {"users": {"BACKEND": path, "OPTIONS": {"shards": list(shards), **options}}}


def owners():
    return [schemes["users"].shard_for_slot(slot) for slot in range(0, 4096, 512)]


@pytest.fixture
def mapped(tmp_path):
    """Three shards, and the tables of the map."""
    entries = {name: sqlite(tmp_path / f"{name}.sqlite3") for name in ("default", *NAMES)}
    with databases(entries, SCALEKIT_DB_SHARDING=sharding(*NAMES)):
        create_tables("default", app="scalekit_db")
        yield


@contextmanager
def set_to(**scheme):
    with override_settings(SCALEKIT_DB_SHARDING=scheme["to"]):
        yield schemes["users"]


@contextmanager
def default_gone(tmp_path):
    """New connections to the default database fail."""
    entry = connections["default"].settings_dict
    name, entry["NAME"] = entry["NAME"], str(tmp_path / "no" / "such" / "folder")
    try:
        yield
    finally:
        entry["NAME"] = name


def change_elsewhere(**values):
    """Change the row as another process would, of which this one hears nothing."""
    ShardMap.objects.filter(group="users").update(**values)


def test_without_a_stored_map_the_setting_decides(mapped):
    assert schemes["users"].map.version == 0
    assert owners() == sorted(owners())


def test_without_its_table_the_setting_decides(shards):
    assert schemes["users"].map.version == 0


def test_init_stores_the_first_version_once(mapped):
    assert init_map("users").version == 1
    assign_slots("users", {0: "shard_2"}, 1)
    assert init_map("users").version == 2


def test_the_order_in_the_setting_moves_no_slot_that_is_stored(mapped):
    init_map("users")
    before = owners()
    with set_to(to=sharding("shard_2", "shard_0", "shard_1")):
        assert owners() == before


def test_a_new_shard_is_empty(mapped):
    init_map("users")
    before = owners()
    with set_to(to=sharding(*NAMES, "shard_3")) as scheme:
        assert owners() == before
        assert "shard_3" not in scheme.map.shards()


def test_another_scheme_moves_no_slot_that_is_stored(mapped):
    init_map("users")
    before = owners()
    with set_to(to=of("Jump")):
        assert owners() == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (sharding("shard_0", "shard_1"), "has rows on shard_2"),
        (sharding(*NAMES, slots=1024), "4096 slots"),
        (of("Ranges", boundaries=[10]), "4096 slots"),
    ],
)
def test_a_setting_that_does_not_fit_the_map_is_an_error(mapped, change, told):
    init_map("users")
    with set_to(to=change):
        with pytest.raises(SettingInvalid, match=told):
            schemes["users"].map  # noqa: B018 - is read when asked for
        faults = run_checks(databases=["default"])
        assert [told in fault.msg for fault in faults if fault.id == "scalekit.db.E020"] == [True]


def test_a_map_that_is_not_stored_is_a_warning(mapped):
    assert "scalekit.db.W020" in [fault.id for fault in run_checks(databases=["default"])]
    init_map("users")
    assert "scalekit.db.W020" not in [fault.id for fault in run_checks(databases=["default"])]


def test_assigned_slots_move_at_once_here(mapped):
    init_map("users")
    assert owners()[0] == "shard_0"
    assert assign_slots("users", {0: "shard_2", 512: "shard_2"}, expected_version=1) == 2
    assert owners()[:3] == ["shard_2", "shard_2", "shard_0"]


def test_a_change_that_expects_another_version_changes_nothing(mapped):
    init_map("users")
    assign_slots("users", {0: "shard_1"}, 1)
    with pytest.raises(ShardMapConflict, match="no longer at version 1"):
        assign_slots("users", {0: "shard_2"}, 1)
    with pytest.raises(ShardMapConflict):
        assign_key("users", 7, "shard_2", 1)
    assert owners()[0] == "shard_1"
    assert not ShardMapKey.objects.exists()


@pytest.mark.parametrize(
    ("slots", "told"),
    [
        ({4096: "shard_0"}, "no slot 4096; it has 0 to 4095"),
        ({0: "shard_9"}, "'shard_9' is no shard"),
    ],
)
def test_slots_and_shards_that_do_not_exist_are_refused(mapped, slots, told):
    init_map("users")
    with pytest.raises(ShardMapInvalid, match=told):
        assign_slots("users", slots, 1)


def test_nothing_is_assigned_before_a_map_is_stored(mapped):
    with pytest.raises(ShardMapInvalid, match="shard_map init users"):
        assign_slots("users", {0: "shard_1"}, 0)


def test_a_key_gets_a_shard_of_its_own_and_loses_it(mapped):
    init_map("users")
    scheme, home = schemes["users"], schemes["users"].shard_for(7)
    other = next(alias for alias in NAMES if alias != home)
    assert assign_key("users", 7, other) == 2
    assert (scheme.shard_for("7"), scheme.shard_for_slot(scheme.slot(7))) == (other, home)
    assert scheme.shards_for_slot(scheme.slot(7)) == (home, other)
    assert assign_key("users", 7, None) == 3
    assert scheme.shard_for(7) == home


def test_a_rolled_back_change_is_not_gone_by(mapped):
    init_map("users")
    before = owners()
    with transaction.atomic():
        assign_slots("users", {0: "shard_2"}, 1)
        assert owners() == before
        transaction.set_rollback(True)
    schemes["users"].stored.reload()
    assert owners() == before


def test_the_change_of_another_process_is_seen_a_little_later(mapped):
    init_map("users")
    with (
        override_settings(SCALEKIT_DB_SHARD_MAP_SECONDS=0.01),
        captured_events("db_shard_map_changed") as events,
    ):
        assert owners()[0] == "shard_0"
        schemes["users"].stored._due = 0
        change_elsewhere(version=2, assignments=[["shard_1", 4096]])
        end = time.monotonic() + 20
        while owners()[0] != "shard_1":
            assert time.monotonic() < end
    assert {"group": "users", "version": 2} in events.named("db_shard_map_changed")


def test_an_older_map_is_not_believed(mapped):
    init_map("users")
    assign_slots("users", {0: "shard_1"}, 1)
    change_elsewhere(version=1, assignments=[["shard_2", 4096]])
    assert schemes["users"].stored.reload().version == 2
    assert owners()[0] == "shard_1"


def test_a_map_that_is_fresh_is_not_read(mapped, monkeypatch):
    owners()
    monkeypatch.setattr(loading, "ask", None)
    owners()


def test_with_the_database_down_it_goes_on_with_what_it_has(mapped, tmp_path):
    init_map("users")
    before, stored = owners(), schemes["users"].stored
    with default_gone(tmp_path), captured_events("db_shard_map_unread") as events:
        stored._due = 0
        assert owners() == before
        stored._reader.join()
        assert owners() == before
    assert [event["group"] for event in events.named("db_shard_map_unread")] == ["users"]


def test_with_the_database_down_at_first_use_the_error_says_so(mapped, tmp_path):
    with (
        default_gone(tmp_path),
        pytest.raises(ShardMapUnavailable, match=r"map of the shard group 'users' .* 'default'"),
    ):
        owners()


def test_a_database_that_was_down_is_not_asked_again_at_once(mapped, tmp_path, monkeypatch):
    with default_gone(tmp_path), pytest.raises(ShardMapUnavailable):
        owners()
    with pytest.raises(ShardMapUnavailable):
        owners()
    monkeypatch.setattr(loading, "BACK_OFF", 0)
    assert owners()


def test_the_map_is_read_in_an_event_loop_too(mapped):
    init_map("users")

    async def version():
        return schemes["users"].map.version

    assert async_to_sync(version)() == 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of other tests
def test_a_process_forked_while_the_map_is_read_reads_it_itself(mapped):
    init_map("users")
    with loading._reading:
        child = os.fork()
        if not child:
            signal.alarm(20)
            os._exit(schemes["users"].map.version)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_group_goes_live(mapped):
    with set_to(to=of("Slots", starts_on="default")) as scheme:
        assert not scheme.map.live
        init_map("users")
        assert not scheme.map.live
        set_live("users", 1)
        assert (scheme.map.live, scheme.map.version) == (True, 2)


def test_a_group_that_has_not_gone_live_is_not_taken_for_one_that_has(mapped):
    with set_to(to=of("Slots", starts_on="default")):
        init_map("users")
    with set_to(to=of("Slots")) as scheme, pytest.raises(SettingInvalid, match="starts_on is gone"):
        scheme.shard_for(7)


def test_the_first_database_has_no_tables_of_a_group_that_has_gone_live(mapped):
    with set_to(to=of("Slots", starts_on="default")):
        assert router.allow_migrate("default", "shop", model_name="order")
        init_map("users")
        set_live("users", 1)
        assert not router.allow_migrate("default", "shop", model_name="order")
        assert router.allow_migrate("shard_0", "shop", model_name="order")


def test_what_runs_on_every_shard_runs_once_until_these_have_the_rows(mapped):
    with set_to(to=of("Slots", starts_on="default")):
        assert list(on_every_shard("users")) == ["default"]
        init_map("users")
        set_live("users", 1)
        assert list(on_every_shard("users")) == list(NAMES)


def test_a_question_whether_a_key_has_a_shard_gives_it_none(mapped):
    with set_to(to=of("Directory", new_keys="least_filled")) as scheme:
        init_map("users")
        assert not scheme.has_shard("invented")
        with pytest.raises(CommandError, match="'invented' has no shard in 'users' yet"):
            call_command("which_shard", "users", "invented")
        assert not ShardMapKey.objects.exists()
        scheme.shard_for("acme")
        assert scheme.has_shard("acme")


def test_a_range_is_cut_and_its_second_part_moved(mapped):
    with set_to(to=of("Ranges", boundaries=[100])) as scheme:
        init_map("users")
        assert split_range("users", 500, 1) == 2
        assert [scheme.shard_for(key) for key in (99, 100, 500)] == [
            "shard_0",
            "shard_1",
            "shard_1",
        ]
        assign_slots("users", {2: "shard_2"}, 2)
        assert [scheme.shard_for(key) for key in (499, 500)] == ["shard_1", "shard_2"]
        with pytest.raises(ShardMapInvalid, match="begins at 500 already"):
            split_range("users", 500, 3)


def test_slots_have_no_range_to_cut(mapped):
    with pytest.raises(ShardMapInvalid, match="scheme is Slots"):
        split_range("users", 500, 1)


def test_a_directory_knows_what_was_assigned(mapped):
    with set_to(to=of("Directory")) as scheme:
        init_map("users")
        with pytest.raises(KeyUnassigned):
            scheme.shard_for("ann")
        assign_key("users", "ann", "shard_1")
        assert scheme.shard_for("ann") == "shard_1"
        assign_key("users", "ann", "shard_2")
        assert scheme.shard_for("ann") == "shard_2"


def test_a_directory_asks_once_for_each_key(mapped, django_assert_num_queries):
    with set_to(to=of("Directory")) as scheme:
        init_map("users")
        assign_key("users", 7, "shard_1")
        with django_assert_num_queries(1):
            assert [scheme.shard_for(7) for _ in range(3)] == ["shard_1"] * 3


def test_new_keys_of_a_directory_go_to_the_least_filled_shard(mapped):
    with set_to(to=of("Directory", new_keys="least_filled")) as scheme:
        for number in range(3):
            ShardMapKey.objects.create(group="users", key=f"old {number}", shard="shard_0")
        assert {scheme.shard_for(key) for key in range(6)} == {"shard_1", "shard_2"}
        assert ShardMapKey.objects.filter(group="users", shard="shard_1").count() == 3


def test_a_key_that_another_process_has_placed_lies_there(mapped):
    with set_to(to=of("Directory", new_keys="least_filled")) as scheme:
        keys = scheme.stored_keys
        ShardMapKey.objects.create(group="users", key="7", shard="shard_2")
        assert keys.place("7") == "shard_2"


def test_a_shard_that_keys_are_assigned_to_is_not_removed_unseen(mapped):
    ShardMapKey.objects.create(group="users", key="7", shard="shard_2")
    with set_to(to=of("Directory", shards=["shard_0", "shard_1"])):
        faults = [f for f in run_checks(databases=["default"]) if f.id == "scalekit.db.E020"]
    assert ["shard_2" in fault.msg for fault in faults] == [True]
