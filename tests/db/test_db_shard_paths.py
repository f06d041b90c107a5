"""Shard keys that a co-located row has: `shard_key = "photo__owner"`, over two steps, and by ids without a slot."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.db import connections
from django.db.migrations.state import ProjectState
from django.db.models import F

from scalekit.db import using_shard
from scalekit.db.exceptions import (
    CrossShardRelation,
    ShardGroupUnknown,
    ShardKeyRequired,
    WrongShard,
)
from scalekit.db.sharding.ids import slot_of_id
from scalekit.db.sharding.placing import DEFAULT_SCHEME
from tests.db.galleries import NAMES, apart, gallery, home, model


@pytest.fixture(autouse=True)
def sharded(tmp_path):
    with gallery(tmp_path):
        for key in apart():
            model("Person").objects.create(pk=key, name=f"p{key}")
        yield


def photo_of(key):
    return model("Photo").objects.create(owner_id=key, rank=key)


def stored_on(name):
    """Return the shards whose table has rows, as the databases themselves say."""
    found = set()
    for alias in NAMES:
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM pictures_{name.lower()}")
            found |= {alias} if cursor.fetchone()[0] else set()
    return found


WAYS = {
    "an instance": lambda photo: model("Comment")(photo=photo, author_id=1).save(),
    "its id alone": lambda photo: model("Comment")(photo_id=photo.pk, author_id=1).save(),
    "create(photo=)": lambda photo: model("Comment").objects.create(photo=photo, author_id=1),
    "create(photo_id=)": lambda photo: model("Comment").objects.create(
        photo_id=photo.pk, author_id=1
    ),
    "bulk_create": lambda photo: model("Comment").objects.bulk_create(
        [model("Comment")(photo_id=photo.pk, author_id=1)]
    ),
    "get_or_create": lambda photo: model("Comment").objects.get_or_create(photo=photo, author_id=1),
    "update_or_create": lambda photo: model("Comment").objects.update_or_create(
        rank=5, defaults={"photo": photo, "author_id": 1}
    ),
    "a related manager": lambda photo: photo.comments.create(author_id=1),
    "add": lambda photo: photo.comments.add(model("Comment")(author_id=1), bulk=False),
    "one that is its author's": lambda photo: (
        model("Person").objects.get(pk=1).comments.create(photo=photo)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_row_lies_where_the_row_with_its_key_does(way):
    photo = photo_of(apart()[1])
    WAYS[way](photo)
    assert stored_on("Comment") == {home(apart()[1])}
    comment = photo.comments.get()
    assert slot_of_id(comment.pk) == DEFAULT_SCHEME.slot(apart()[1])
    like = model("Like").objects.create(comment_id=comment.pk, fan_id=1)
    assert slot_of_id(like.pk) == slot_of_id(comment.pk)
    assert stored_on("Like") == {home(apart()[1])}


@pytest.mark.parametrize("way", [{"story_id": 1}, {"story": 1}])
def test_a_row_is_placed_by_one_whose_id_says_nothing(way):
    story = model("Story").objects.create(owner_id=apart()[1])
    value = {name: story.pk if name == "story_id" else story for name in way}
    remark = model("Remark").objects.create(**value)
    assert stored_on("Remark") == {home(apart()[1])}
    assert slot_of_id(remark.pk) == DEFAULT_SCHEME.slot(apart()[1])
    assert list(story.remarks.all()) == [remark]


CONDITIONS = {
    "the key, one step": lambda c: ("Comment", {"photo__owner": 1}),
    "the key's id": lambda c: ("Comment", {"photo__owner_id": 1}),
    "the key in a list": lambda c: ("Comment", {"photo__owner__in": [1]}),
    "the key, two steps": lambda c: ("Like", {"comment__photo__owner_id": 1}),
    "the id of a row between": lambda c: ("Like", {"comment__photo": c.photo_id}),
    "another column beside it": lambda c: ("Like", {"comment__photo__owner": 1, "rank": 0}),
    "the other way round": lambda c: ("Photo", {"comments": c.pk}),
    "two steps the other way": lambda c: ("Photo", {"comments__likes": c.likes.get().pk}),
    "a row with the same key": lambda c: ("Photo", {"tags__owner": 1}),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_shard_is_found_through_co_located_rows(condition):
    photo = photo_of(1)
    photo.tags.add(model("Tag").objects.create(owner_id=1))
    comment = photo.comments.create(author_id=1)
    comment.likes.create(fan_id=1)
    name, values = CONDITIONS[condition](comment)
    rows = model(name).objects.filter(**values)
    assert rows.db == home(1)
    assert rows.count() == 1


def test_a_condition_on_a_co_located_row_that_is_no_key_names_no_shard():
    with pytest.raises(ShardKeyRequired, match="photo__owner"):
        list(model("Comment").objects.filter(photo__rank=1))


def test_a_row_is_not_moved_to_a_row_of_another_shard():
    comment = photo_of(1).comments.create(author_id=1)
    other = photo_of(apart()[1])
    with pytest.raises(CrossShardRelation, match="same shard key"):
        comment.photo = other
    comment.photo_id = other.pk
    with pytest.raises(WrongShard, match="create the row anew"):
        comment.save()


def same_shard():
    """Return two keys of one shard."""
    return 1, next(key for key in range(2, 99) if home(key) == home(1))


MOVES = {
    "add": lambda comment, photo: photo.comments.add(comment),
    "update": lambda comment, photo: (
        model("Comment").objects.filter(pk=comment.pk).update(photo=photo)
    ),
    "update by id": lambda comment, photo: (
        model("Comment").objects.filter(photo=comment.photo_id).update(photo_id=photo.pk)
    ),
    "save": lambda comment, photo: setattr(comment, "photo_id", photo.pk) or comment.save(),
    "an attribute": lambda comment, photo: setattr(comment, "photo", photo),
    "many to many": lambda comment, photo: photo.tags.add(
        model("Tag").objects.create(owner_id=comment.photo.owner_id)
    ),
}


@pytest.mark.parametrize("way", MOVES)
def test_rows_of_two_keys_are_not_related_even_on_one_shard(way):
    photos = [photo_of(key) for key in same_shard()]
    comment = photos[0].comments.create(author_id=1)
    with pytest.raises(WrongShard, match="key"):
        MOVES[way](comment, photos[1])
    assert model("Comment").objects.get(pk=comment.pk).photo == photos[0]
    assert not photos[1].tags.exists()


def test_a_key_is_no_expression():
    photo, story = photo_of(1), model("Story").objects.create(owner_id=1)
    for row, name in ((photo, "owner_id"), (story, "owner_id")):
        setattr(row, name, F(name) + 1)
        with pytest.raises(WrongShard, match="cannot be changed"):
            row.save()


def test_a_relation_that_is_not_the_key_names_no_shard():
    people = [model("Person").objects.get(pk=key) for key in apart()]
    for follower in people:
        people[0].followers.create(follower=follower)
    assert people[0].following.count() == people[1].following.count() == 1
    assert people[0].followers.scatter().count() == 2
    for ask in ("count", "clear", "first"):
        with pytest.raises(ShardKeyRequired, match="follower"):
            getattr(people[0].followers, ask)()
    assert people[0].followers.get(follower=people[1]).follower == people[1]
    _, created = people[0].followers.get_or_create(follower=people[1])
    assert not created
    assert stored_on("Follow") == {home(key) for key in apart()}


def test_related_managers_of_a_shard_do_all_they_do_elsewhere():
    photo = photo_of(1)
    comments = [photo.comments.create(author_id=1, rank=n) for n in range(3)]
    assert photo.comments.get_or_create(rank=0, defaults={"author_id": 1}) == (comments[0], False)
    photo.comments.remove(comments[0])
    assert photo.comments.count() == 2
    photo.comments.add(comments[0])
    photo.comments.set(comments[:2])
    assert set(photo.comments.all()) == set(comments[:2])
    photo.comments.clear()
    assert photo.comments.count() == 0
    assert model("Comment").objects.using(home(1)).count() == 3


def test_many_to_many_of_a_shard_does_all_it_does_elsewhere():
    photo = photo_of(1)
    tags = [model("Tag").objects.create(owner_id=1, rank=n) for n in range(3)]
    photo.tags.add(*tags[:2])
    tags[2].photos.add(photo)
    assert photo.tags.count() == 3
    photo.tags.remove(tags[0])
    photo.tags.set([tags[0], tags[1]])
    assert set(photo.tags.all()) == set(tags[:2])
    assert photo.tags.create(owner_id=1).photos.get() == photo
    photo.tags.clear()
    assert not photo.tags.exists()
    with pytest.raises(CrossShardRelation):
        photo.tags.add(model("Tag").objects.create(owner_id=apart()[1]))


def test_deleting_a_row_deletes_what_hangs_on_it_on_its_shard_alone():
    photos = [photo_of(key) for key in apart()]
    for photo in photos:
        photo.comments.create(author_id=1).likes.create(fan_id=1)
        model("Note").objects.create(owner_id=photo.owner_id, about=photo)
    deleted = photos[0].delete()
    assert deleted[0] == 4
    assert stored_on("Like") == stored_on("Note") == {home(apart()[1])}


def test_generic_rows_are_found_from_both_sides():
    photo, other = photo_of(1), photo_of(apart()[1])
    person = model("Person").objects.get(pk=1)
    notes = [
        model("Note").objects.create(owner_id=1, rank=rank, about=about)
        for rank, about in enumerate([photo, other, person])
    ]
    fresh = model("Note").objects.filter(owner_id=1).order_by("rank")
    assert [note.about for note in fresh] == [photo, other, person]
    assert list(photo.notes.all()) == [notes[0]]
    assert photo.notes.create(owner_id=1, rank=9).about == photo
    assert model("Photo").objects.filter(owner_id=1, notes__rank=0).get() == photo


def test_a_row_that_has_lost_its_key_is_saved_where_it_lies():
    comment = photo_of(apart()[1]).comments.create(author_id=1)
    comment.photo = None
    comment.save()
    assert model("Comment").objects.get(pk=comment.pk)._state.db == home(apart()[1])
    with pytest.raises(ShardKeyRequired, match="photo__owner"):
        model("Comment").objects.create(author_id=1)


def test_models_inside_a_migration_place_their_rows_the_same_way():
    past = ProjectState.from_apps(apps).apps
    photo = past.get_model("pictures", "Photo")(owner_id=apart()[1])
    photo.save()
    comment = past.get_model("pictures", "Comment")(photo_id=photo.pk, author_id=1)
    comment.save()
    story = past.get_model("pictures", "Story")(owner_id=apart()[1])
    story.save()
    remark = past.get_model("pictures", "Remark")(story=story)
    remark.save()
    rows = (photo, comment, story, remark)
    assert {row._state.db for row in rows} == {home(apart()[1])}
    assert slot_of_id(comment.pk) == slot_of_id(remark.pk) == DEFAULT_SCHEME.slot(apart()[1])


def test_async_code_finds_the_same_shards():
    async def work():
        photo = await model("Photo").objects.acreate(owner_id=apart()[1])
        comment = await photo.comments.acreate(author_id=1, rank=4)
        found = [row async for row in photo.comments.all()] == [comment]
        fresh = await model("Comment").objects.select_related("photo").aget(pk=comment.pk)
        rows = model("Comment").objects.filter(photo__owner_id=apart()[1])
        changed = await rows.aupdate(rank=5)
        read = [row.rank async for row in rows.aiterator()]
        await comment.adelete()
        return (
            found,
            fresh.photo == photo,
            changed,
            read,
            await rows.acount(),  # codespell:ignore acount
        )

    assert async_to_sync(work)() == (True, True, 1, [5], 0)


def test_ids_of_several_shards_are_read_in_bulk():
    photos = {photo.pk: photo for photo in map(photo_of, apart())}
    assert model("Photo").objects.in_bulk(list(photos)) == photos


def test_a_block_for_a_group_that_does_not_exist_is_an_error():
    with pytest.raises(ShardGroupUnknown, match="Did you mean 'users'"), using_shard("user", 7):
        pass
