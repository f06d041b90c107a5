"""A value in shard_lookups is there once, on whichever shard, and leads a query to its row."""

from __future__ import annotations

import threading

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.db.models import F, QuerySet, Value

from scalekit.db import using_shard
from scalekit.db.exceptions import LookupTaken, LookupUnsupported, SeveralShards, ShardKeyRequired
from scalekit.db.models import ShardLookup
from scalekit.db.sharding.checks import faults_of_model
from scalekit.db.sharding.lookup_index.claiming import claimed_by_update
from tests.db.club_databases import club, club_databases, files
from tests.db.club_members import EMAIL, HERE, THERE, home, index, member, stored


@pytest.fixture(autouse=True)
def sharded_club(tmp_path):
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        yield


async def acreate(family):
    await club().Member.objects.acreate(family=family, email=EMAIL)


def test_a_value_leads_to_its_row_on_whichever_shard():
    ann, bob = member(HERE), member(THERE, "bob@example.org")
    assert club().Member.objects.get(email=EMAIL) == ann
    assert club().Member.objects.get(email="bob@example.org")._state.db == home(THERE)
    assert club().Member.objects.filter(email="bob@example.org").count() == 1
    assert club().Member.objects.filter(email__in=["bob@example.org"]).get() == bob
    assert club().Member.objects.scatter().filter(email__in=[EMAIL]).get() == ann


def test_a_value_leads_to_its_row_in_async_code_too():
    async def found():
        rows = club().Member.objects.filter(email=EMAIL)
        return [await rows.aget()] + [r async for r in rows] + [r async for r in rows.aiterator()]

    assert [member(HERE)] * 3 == async_to_sync(found)()


def test_values_of_several_shards_point_to_scatter():
    found = {member(HERE), member(THERE, "bob@example.org")}
    emails = [EMAIL, "bob@example.org"]
    with pytest.raises(SeveralShards):
        list(club().Member.objects.filter(email__in=emails))
    assert set(club().Member.objects.scatter().filter(email__in=emails)) == found


def test_a_value_that_is_nowhere_matches_nothing():
    assert not club().Member.objects.filter(email=EMAIL).exists()
    with pytest.raises(club().Member.DoesNotExist):
        club().Member.objects.get(email=EMAIL)


def test_what_is_not_equality_names_no_shard():
    for condition in ({"email__iexact": EMAIL}, {"name": "Ann"}, {"email": F("name")}):
        with pytest.raises(ShardKeyRequired):
            club().Member.objects.filter(**condition).exists()


def test_a_value_counts_before_the_block_around_it():
    ann = member(HERE)
    with using_shard("users", THERE):
        assert club().Member.objects.get(email=EMAIL) == ann


@pytest.mark.parametrize(
    "write",
    [
        lambda: member(THERE),
        lambda: club().Member(family=THERE, email=EMAIL).save(),
        lambda: club().Member.objects.bulk_create([club().Member(family=THERE, email=EMAIL)]),
        lambda: (
            member(THERE, "c@example.org")
            .__class__.objects.filter(family=THERE)
            .update(email=EMAIL)
        ),
        lambda: _changed(member(THERE, "c@example.org")).save(),
        lambda: _changed(member(THERE, "c@example.org")).save(update_fields=["email"]),
        lambda: club().Member.objects.bulk_update(
            [_changed(member(THERE, "c@example.org"))], ["email"]
        ),
        lambda: async_to_sync(acreate)(THERE),
    ],
    ids=[
        "create",
        "save",
        "bulk_create",
        "update",
        "change",
        "update_fields",
        "bulk_update",
        "async",
    ],
)
def test_no_way_of_writing_a_value_twice_gets_through(write):
    ann = member(HERE)
    with pytest.raises(LookupTaken, match="already exists"):
        write()
    assert club().Member.objects.get(email=EMAIL) == ann
    assert stored() == 1


def _changed(row):
    row.email = EMAIL
    return row


def test_that_a_value_is_taken_is_an_integrity_error_and_forms_say_so():
    member(HERE)
    with pytest.raises(IntegrityError):
        member(THERE)
    with pytest.raises(ValidationError, match="Member with this Email already exists"):
        club().Member(family=THERE, email=EMAIL).full_clean(exclude=["id"])
    club().Member(family=THERE, email="new@example.org").full_clean(exclude=["id"])


def test_null_is_no_value():
    member(HERE)
    member(THERE, "bob@example.org")
    assert [field for field, _ in index()] == ["email", "email"]


def test_the_index_has_no_value_to_read():
    member(HERE)
    assert EMAIL not in str(ShardLookup.objects.values_list()[0])


def test_an_update_of_several_rows_to_one_value_is_refused():
    member(HERE, number=1)
    member(HERE, "bob@example.org", number=2)
    with pytest.raises(LookupTaken, match="2 rows"):
        club().Member.objects.filter(family=HERE).update(number=3)
    assert club().Member.objects.filter(family=HERE).update(number=None) == 2
    assert [field for field, _ in index()] == ["email", "email"]


def test_a_row_that_comes_to_match_an_update_gets_no_value_that_it_has_not_taken():
    rows = club().Member.objects.filter(family=HERE)
    with claimed_by_update(rows, {"number": 7}) as found:
        ann = member(HERE)  # after the look, before the UPDATE
        assert QuerySet.update(found, number=7) == 0
    assert club().Member.objects.get(email=EMAIL) == ann
    member(THERE, "bob@example.org", number=7)


def test_saving_what_has_not_changed_writes_nothing_to_the_index(django_assert_num_queries):
    ann = member(HERE, number=7)
    before = list(ShardLookup.objects.values_list())
    with django_assert_num_queries(1):  # on the default database, a look
        ann.save()
    with django_assert_num_queries(0):
        ann.save(update_fields=["name"])
    assert list(ShardLookup.objects.values_list()) == before


def test_get_or_create_and_update_or_create_find_the_row_by_its_value():
    ann = member(HERE)
    rows = club().Member.objects
    assert rows.get_or_create(email=EMAIL, defaults={"family": THERE}) == (ann, False)
    bob, created = rows.get_or_create(email="bob@example.org", defaults={"family": THERE})
    assert (created, bob._state.db) == (True, home(THERE))
    same, created = rows.update_or_create(email=EMAIL, defaults={"name": "Ann"})
    assert (same, same.name, created) == (ann, "Ann", False)
    carl, created = rows.update_or_create(
        email="carl@example.org", defaults={"name": "C"}, create_defaults={"family": THERE}
    )
    assert (created, carl._state.db) == (True, home(THERE))
    with pytest.raises(LookupTaken):
        rows.get_or_create(email=EMAIL, family=THERE)


def test_bulk_create_takes_the_values_of_all_its_rows():
    rows = [club().Member(family=key, email=f"{key}@example.org") for key in range(1, 40)]
    club().Member.objects.bulk_create(rows)
    assert len(index()) == 39
    assert club().Member.objects.get(email="17@example.org").family == 17


def test_a_value_twice_in_one_bulk_create_is_refused():
    rows = [club().Member(family=HERE, email=EMAIL) for _ in range(2)]
    with pytest.raises(LookupTaken):
        club().Member.objects.bulk_create(rows)
    with pytest.raises(LookupTaken):
        club().Member.objects.bulk_create(
            [club().Member(family=key, email="x@example.org") for key in (HERE, THERE)]
        )
    assert stored() == 0
    assert stored("x@example.org") <= 1


def test_what_leaves_the_values_to_the_database_is_refused():
    member(HERE)
    rows = club().Member.objects
    for write in (
        lambda: rows.filter(family=HERE).update(email=F("name")),
        lambda: rows.create(family=HERE, email=Value("x@example.org")),
        lambda: rows.bulk_create([club().Member(family=HERE, email="y")], ignore_conflicts=True),
    ):
        with pytest.raises(LookupUnsupported):
            write()
    assert stored() == 1


def test_fixtures_keep_the_index():
    from django.core import serializers

    text = serializers.serialize("json", [member(HERE)])
    club().Member.objects.filter(family=HERE).delete()
    for row in serializers.deserialize("json", text, using=home(HERE)):
        row.save(using=home(HERE))
    with pytest.raises(LookupTaken):
        member(THERE)


def test_of_two_creators_at_once_one_wins():
    barrier, outcomes = threading.Barrier(2), []

    def create(family):
        try:
            with transaction.atomic(using=home(family)):
                barrier.wait(60)
                member(family)
            outcomes.append("created")
        except LookupTaken:
            outcomes.append("taken")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create, args=[family]) for family in (HERE, THERE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", "taken"]
    assert stored() == 1


def test_until_sharding_is_switched_on_the_table_s_own_index_does_it(tmp_path):
    (tmp_path / "plain").mkdir()
    with club_databases(files(tmp_path / "plain", "default")):
        ann = member(HERE)
        with pytest.raises(IntegrityError) as failed:
            member(THERE)
        assert not isinstance(failed.value, LookupTaken)
        assert club().Member.objects.get(email=EMAIL) == ann
        assert not ShardLookup.objects.exists()


def test_an_index_of_values_needs_postgresql_or_sqlite(monkeypatch):
    assert list(faults_of_model(club().Member)) == []
    monkeypatch.setattr(connections["b"], "vendor", "mysql")
    assert [f.id for f in faults_of_model(club().Member)] == ["scalekit.db.E039"]
