"""Keys with a shard of their own, and ids of which several shards may have the row."""

from __future__ import annotations

import pytest
from django.db import connections

from scalekit.core.context import portable_facts, unit_of_work
from scalekit.db import on_every_shard, using_shard
from scalekit.db.conf import schemes
from scalekit.db.exceptions import SeveralShards, WrongShard
from scalekit.db.sharding import hot_keys
from scalekit.db.sharding.mapping.assigning import assign_key, assign_slots, init_map
from tests.db.galleries import NAMES, gallery, home, model

STAR = 1


@pytest.fixture(autouse=True)
def star(tmp_path):
    """Give key 1 a shard of its own: its ids have a slot that lies elsewhere."""
    with gallery(tmp_path):
        init_map("users")
        before = home(STAR)
        own = next(alias for alias in NAMES if alias != before)
        assign_key("users", STAR, own)
        assert (home(STAR), before != own) == (own, True)
        yield own


def neighbour():
    """Return another key of the star's slot, which stays where it was."""
    scheme = schemes["users"]
    return next(k for k in range(2, 10**6) if scheme.slot(k) == scheme.slot(STAR))


@pytest.fixture
def photos(star):
    return [model("Photo").objects.create(owner_id=key) for key in (STAR, neighbour())]


def test_keys_of_one_slot_lie_apart(photos, star):
    assert photos[0]._state.db == star != photos[1]._state.db


def test_an_id_is_looked_for_on_each_shard_that_its_slot_names(photos):
    for photo in photos:
        assert model("Photo").objects.get(pk=photo.pk)._state.db == photo._state.db
        assert model("Photo").objects.filter(pk__in=[photo.pk]).update(rank=5) == 1
    gone = model("Photo").objects.create(owner_id=STAR)
    model("Photo").objects.filter(owner_id=STAR, pk=gone.pk).delete()
    with pytest.raises(model("Photo").DoesNotExist):
        model("Photo").objects.get(pk=gone.pk)


def test_rows_that_hang_on_such_an_id_are_found_and_placed(photos):
    for photo in photos:
        comment = model("Comment").objects.create(photo_id=photo.pk, author_id=9)
        assert comment._state.db == photo._state.db
        assert list(model("Comment").objects.filter(photo_id=photo.pk)) == [comment]
        assert list(photo.comments.all()) == [comment]
        assert model("Comment").objects.get(pk=comment.pk).photo == photo
        like = model("Like").objects.create(comment_id=comment.pk, fan_id=9)
        assert like._state.db == photo._state.db


def test_several_such_ids_are_of_several_shards_only_if_their_rows_are(photos):
    more = model("Photo").objects.create(owner_id=STAR)
    found = model("Photo").objects.filter(pk__in=[photos[0].pk, more.pk])
    assert found.count() == 2
    with pytest.raises(SeveralShards):
        list(model("Photo").objects.filter(pk__in=[photo.pk for photo in photos]))


def test_a_row_known_by_its_id_alone_is_deleted_where_it_lies(photos):
    model("Photo")(pk=photos[0].pk).delete()
    assert model("Photo").objects.scatter().get() == photos[1]


def test_a_block_and_its_jobs_name_the_key_and_not_its_slot(photos, star):
    with unit_of_work(), using_shard("users", STAR):
        assert model("Photo").objects.get() == photos[0]
        assert portable_facts()["db_shards"] == {"users": f"key:{STAR}"}


def test_every_shard_has_its_turn_though_no_slot_is_left_to_it(photos, star):
    other = next(alias for alias in NAMES if alias != star)
    slots = {n: other for n, a in enumerate(schemes["users"].map.assignments) if a == star}
    assign_slots("users", slots, schemes["users"].map.version)
    counts = {alias: model("Photo").objects.count() for alias in on_every_shard("users")}
    assert counts[star] == 1


def test_a_row_whose_slot_moved_after_it_was_read_is_saved_where_it_lies_now(photos):
    photo = photos[1]
    target = next(a for a in NAMES if a not in {photo._state.db, home(STAR)})
    copy = model("Photo").objects.get(pk=photo.pk)
    models = type(photo)._base_manager
    _copied(photo, target)
    slot = schemes["users"].slot(photo.owner_id)
    assign_slots("users", {slot: target}, schemes["users"].map.version)
    copy.rank = 7
    copy.save()
    assert (copy._state.db, models.using(target).get().rank) == (target, 7)


def test_a_row_whose_key_was_changed_does_not_count_as_moved():
    story = model("Story").objects.create(owner_id=neighbour())
    story.owner_id = STAR
    with pytest.raises(WrongShard):
        story.save()


def test_keys_are_counted_where_they_are_named(photos, monkeypatch):
    seen = []
    monkeypatch.setattr(hot_keys, "seen", lambda group, key: seen.append((group, str(key))))
    list(model("Photo").objects.filter(owner_id=STAR))
    model("Photo").objects.create(owner_id=STAR)
    with using_shard("users", STAR):
        model("Photo").objects.count()
    assert set(seen) == {("users", str(STAR))}
    assert len(seen) >= 3


def test_ids_from_before_sharding_hold_no_slot_and_are_looked_for_everywhere(star):
    photo = model("Photo")(pk=12, owner_id=neighbour())
    photo.save(force_insert=True)
    comment = model("Comment").objects.create(photo_id=12, author_id=9)
    assert model("Photo").objects.get(pk=12)._state.db == home(neighbour())
    assert comment._state.db == home(neighbour())
    assert list(model("Comment").objects.filter(photo=12)) == [comment]


def _copied(row, alias):
    """Write a row to another shard as a move would, past all that watches."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "INSERT INTO pictures_photo (id, owner_id, rank) VALUES (%s, %s, %s)",
            [row.pk, row.owner_id, row.rank],
        )
