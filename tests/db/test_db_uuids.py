"""UUIDs of version 7 that hold their row's slot."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory

from scalekit.db import UUIDv7Field
from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardKeyRequired, WrongShard
from scalekit.db.sharding.mapping.assigning import assign_slots, init_map
from scalekit.db.sharding.uuids import RANDOM_BITS, UuidGenerator, slot_of_uuid, uuid_generator
from tests.db.club_databases import club, club_databases, files
from tests.db.test_db_ids import Clock


@pytest.fixture
def sharded_club(tmp_path):
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        yield


def test_a_uuid_is_of_version_7_and_tells_its_time_and_slot():
    clock = Clock()
    made = UuidGenerator(clock).next_id(4095)
    assert (made.version, made.variant, slot_of_uuid(made)) == (7, uuid.RFC_4122, 4095)
    assert made.int >> 80 == clock.now


def test_the_slot_of_another_uuid_is_unknown():
    assert slot_of_uuid(uuid.uuid4()) is None


@pytest.mark.parametrize("step", [0, 1, -5000])
def test_uuids_never_repeat_and_grow_within_a_slot(step):
    clock = Clock()
    ids = UuidGenerator(clock)
    made = []
    for _ in range(3000):
        made.append(ids.next_id(3))
        clock.now += step
    assert made == sorted(set(made))


def test_what_would_overflow_takes_the_next_millisecond(monkeypatch):
    clock = Clock()
    ids = UuidGenerator(clock)
    first = ids.next_id(1)
    ids._tails[1] = (1 << RANDOM_BITS) - 1
    second = ids.next_id(1)
    assert second > first
    assert second.int >> 80 == clock.now + 1
    assert (second.version, second.variant) == (7, uuid.RFC_4122)


def test_threads_share_no_uuid():
    made = []

    def work():
        made.extend([uuid_generator.next_id(slot % 5) for slot in range(2000)])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 12_000


def test_a_child_process_does_not_go_on_where_its_parent_does():
    ids = UuidGenerator(Clock())
    ids.next_id(1)
    ids.fork()
    assert ids._tails == {}


def test_the_shard_is_found_from_the_id(sharded_club):
    for family in range(1, 6):
        visit = club().Visit.objects.create(family=family)
        assert visit.pk.version == 7
        found = club().Visit.objects.filter(pk=visit.pk)
        assert found.db == schemes["users"].shard_for(family)
        assert found.get() == visit
        assert club().Visit.objects.get(pk=str(visit.pk)) == visit
        assert club().Visit.objects.filter(after_id=visit.pk).db == found.db


def test_an_id_leads_to_its_slot_where_that_has_moved(sharded_club):
    visit = club().Visit.objects.create(family=1)
    old = schemes["users"].shard_for(1)
    new = next(alias for alias in schemes["users"].shards if alias != old)
    version = init_map("users").version
    assign_slots("users", {slot_of_uuid(visit.pk): new}, version)
    assert club().Visit.objects.filter(pk=visit.pk).db == new
    assert schemes["users"].shard_for(1) == new


def test_an_id_of_another_slot_than_the_key_s_is_refused(sharded_club):
    visit = club().Visit(family=1, pk=uuid_generator.next_id(schemes["users"].slot(2)))
    with pytest.raises(WrongShard, match="torn apart"):
        visit.save()


def test_bulk_create_makes_ids(sharded_club):
    visits = club().Visit.objects.bulk_create([club().Visit(family=key) for key in range(9)])
    assert len({visit.pk for visit in visits}) == 9
    for visit in visits:
        assert club().Visit.objects.get(pk=visit.pk).family == visit.family


def test_a_row_without_its_key_gets_no_id(sharded_club):
    with pytest.raises(ShardKeyRequired):
        club().Visit().save()


def test_forms_and_validation_do_not_ask_for_it(sharded_club):
    form = modelform_factory(club().Visit, fields="__all__")
    assert "id" not in form.base_fields
    club().Visit(family=1, paid=1).full_clean(exclude=["member", "after"])
    with pytest.raises(ValidationError):
        club().Visit(family=1, paid=1, id="nonsense").clean_fields(exclude=["member", "after"])


def test_it_is_written_into_migrations_with_what_it_needs_there(sharded_club):
    text, imports = MigrationWriter.serialize(club().Visit._meta.pk)
    assert text.startswith("scalekit.db.UUIDv7Field(")
    assert "shard_group='users'" in text
    assert imports == {"import scalekit.db"}


def test_on_any_other_model_it_is_an_id_that_sorts_by_time():
    field = UUIDv7Field()
    assert field.next_id(0) < field.next_id(0)
