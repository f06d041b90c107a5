"""A value in shard_lookups is free again when no row has it, and not before."""

from __future__ import annotations

import pytest
from django.db import connections, transaction

from scalekit.db.exceptions import LookupTaken
from scalekit.db.models import ShardMap
from scalekit.db.sharding.mapping.assigning import init_map
from scalekit.db.sharding.mapping.loading import StoredMap
from scalekit.db.sharding.mapping.reading import rolled, unrolled
from scalekit.testing.fakes import captured_events
from tests.db.club_databases import club, club_databases, files
from tests.db.club_members import EMAIL, HERE, SCHEME, THERE, home, index, member
from tests.db.databases import rolled_back


@pytest.fixture(autouse=True)
def sharded_club(tmp_path):
    with club_databases(files(tmp_path, "default", "a", "b"), "a", "b"):
        yield


def test_a_refused_row_leaves_nothing_behind():
    member(HERE, number=7)
    with pytest.raises(LookupTaken):
        member(THERE, "bob@example.org", number=7)
    bob = member(HERE, "bob@example.org", number=8)
    assert club().Member.objects.get(email="bob@example.org") == bob


def test_a_changed_value_frees_the_old_one():
    ann = member(HERE)
    ann.email = "new@example.org"
    ann.save()
    bob = member(THERE)
    assert club().Member.objects.get(email=EMAIL) == bob
    assert club().Member.objects.get(email="new@example.org") == ann


@pytest.mark.parametrize(
    "change",
    [
        lambda ann: club().Member.objects.filter(pk=ann.pk).update(number=None),
        lambda ann: club().Member.objects.filter(number=7).update(number=8),
        lambda ann: club().Member.objects.bulk_update([_numbered(ann, 8)], ["number"]),
        lambda ann: _numbered(ann, None).save(),
        lambda ann: ann.delete(),
        lambda ann: club().Member.objects.filter(pk=ann.pk).delete(),
    ],
    ids=["update to null", "update", "bulk_update", "save null", "delete", "delete of a query"],
)
def test_a_value_that_a_row_no_longer_has_is_free(change):
    ann = member(HERE, number=7)
    change(ann)
    assert not club().Member.objects.filter(number=7).exists()
    with captured_events("db_lookup_reclaimed") as events:
        member(THERE, "bob@example.org", number=7)
    assert not events


def _numbered(row, number):
    row.number = number
    return row


def test_a_value_of_a_transaction_that_was_rolled_back_is_free_when_it_is_wanted():
    with rolled_back(using=home(HERE)):
        member(HERE)
    assert len(index()) == 1
    with captured_events("db_lookup_reclaimed") as events:
        bob = member(THERE)
    assert len(events) == 1
    assert club().Member.objects.get(email=EMAIL) == bob
    assert len(index()) == 1


@pytest.mark.parametrize("verb", ["get_or_create", "update_or_create"])
def test_a_value_of_a_transaction_that_was_rolled_back_does_not_lead_a_new_row_astray(verb):
    with rolled_back(using=home(HERE)):
        member(HERE)
    write = getattr(club().Member.objects, verb)
    bob, created = write(email=EMAIL, defaults={"family": THERE})
    assert (created, bob._state.db) == (True, home(THERE))
    assert write(email=EMAIL, defaults={"family": HERE} if verb == "get_or_create" else {}) == (
        bob,
        False,
    )


def test_a_value_moves_within_a_transaction():
    with transaction.atomic(using=home(HERE)):
        member(HERE).delete()
        again = member(HERE)
    assert club().Member.objects.get(email=EMAIL) == again
    with pytest.raises(LookupTaken):
        member(THERE)


def test_a_value_whose_row_has_moved_to_another_shard_is_not_free(monkeypatch):
    monkeypatch.setattr(StoredMap, "_renew", lambda _: None)  # this process goes by an old map
    slots = list(unrolled(init_map("users").assignments))
    old, new = home(HERE), home(THERE)
    ann = member(HERE)
    slots[SCHEME.slot(HERE)] = new
    ShardMap.objects.update(version=2, assignments=rolled(slots))
    with connections[old].cursor() as cursor:
        cursor.execute("DELETE FROM club_member")
    with connections[new].cursor() as cursor:
        cursor.execute(
            "INSERT INTO club_member (id, family, email, name) VALUES (%s, %s, %s, '')",
            [ann.pk, HERE, EMAIL],
        )
    near = next(key for key in range(HERE + 1, 99) if home(key) == old)
    with pytest.raises(LookupTaken):
        member(near)
    assert club().Member.objects.get(email=EMAIL) == ann


def test_a_row_that_is_deleted_and_written_anew_in_one_transaction_keeps_its_value():
    ann = member(HERE)
    with transaction.atomic(using=home(HERE)):
        club().Member.objects.filter(pk=ann.pk).delete()
        ann.save(force_insert=True)
    assert club().Member.objects.get(email=EMAIL) == ann
    with pytest.raises(LookupTaken):
        member(THERE)


def test_a_row_that_took_its_value_back_keeps_it():
    ann = member(HERE)
    stale = club().Member.objects.get(pk=ann.pk)
    with transaction.atomic(using=home(HERE)):
        ann.email = "new@example.org"
        ann.save()
        stale.save()  # with the old value
    assert club().Member.objects.get(email=EMAIL) == ann
    assert not club().Member.objects.filter(email="new@example.org").exists()


def test_many_deletions_are_freed_together(django_assert_num_queries):
    rows = [club().Member(family=HERE, email=f"{n}@example.org") for n in range(50)]
    club().Member.objects.bulk_create(rows)
    with django_assert_num_queries(1 + 50):  # on the default database: a look, and each entry
        club().Member.objects.filter(family=HERE).delete()
    assert index() == []


def test_what_goes_with_a_row_frees_its_value_too():
    ann, bob = member(HERE), member(THERE, "bob@example.org")
    club().Pass.objects.create(member=ann, code="7")
    with pytest.raises(LookupTaken):
        club().Pass.objects.create(member=bob, code="7")
    assert club().Pass.objects.get(code="7").member == ann
    ann.delete()
    with captured_events("db_lookup_reclaimed") as events:
        club().Pass.objects.create(member=bob, code="7")
    assert not events
