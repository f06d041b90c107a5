"""Prefetching over rows of several shards, compared with one database that holds the same rows."""

from __future__ import annotations

import random
from contextlib import ExitStack

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.db.models import Prefetch, prefetch_related_objects
from django.test.utils import CaptureQueriesContext

from scalekit.db.exceptions import CrossShardQuery, ShardKeyRequired
from tests.db.galleries import NAMES, apart, fill, gallery, home, model

QUESTIONS, REFUSED = 120, "refused"

# Where prefetching may begin, and the relations to follow from each model.
STEPS = {
    "Person": {"photos": "Photo", "comments": "Comment", "likes": "Like", "tags": "Tag"},
    "Photo": {
        "owner": "Person",
        "tags": "Tag",
        "comments": "Comment",
        "frame": "Frame",
        "notes": "Note",
    },
    "Tag": {"photos": "Photo", "owner": "Person"},
    "Frame": {"photo": "Photo"},
    "Comment": {"photo": "Photo", "author": "Person", "likes": "Like"},
    "Like": {"comment": "Comment", "fan": "Person"},
    "Story": {"remarks": "Remark"},
    "Remark": {"story": "Story"},
    "Note": {"about": None},
}
MANY = {
    ("Person", "photos"), ("Person", "comments"), ("Person", "likes"), ("Person", "tags"),
    ("Photo", "tags"), ("Photo", "comments"), ("Photo", "notes"), ("Tag", "photos"),
    ("Comment", "likes"), ("Story", "remarks"),
}  # fmt: skip


def random_question(rng):
    """Return a function that prefetches for some rows of a gallery and tells what it got."""
    name = rng.choice([n for n in STEPS if n != "Person"] * 2 + ["Person"])
    lookups = [random_lookup(rng, name, custom=not i) for i in range(rng.randint(1, 3))]
    share, seed = rng.choice([0.2, 0.6, 1.0]), rng.random()
    way = rng.choice(["list", "queryset", "iterator"])

    def question():
        rows = chosen_rows(name, share, seed)
        trees = [lookup() for lookup in lookups]
        if way == "list":
            found = list(rows)
            prefetch_related_objects(found, *(lookup for lookup, _ in trees))
        elif way == "queryset":
            found = list(rows.prefetch_related(*(lookup for lookup, _ in trees)))
        else:
            found = list(rows.prefetch_related(*(lookup for lookup, _ in trees)).iterator(5))
        return [[shown(row, path) for _, path in trees] for row in found]

    question.text = f"{name} {share} {way} {[lookup.text for lookup in lookups]}"
    return question


def random_lookup(rng, name, *, custom):
    """Return what makes a lookup, with the steps by which to look at what was found."""
    path, at = [], name
    for _ in range(rng.randint(1, 4)):
        if at is None:
            break
        step = rng.choice(list(STEPS[at]))
        path.append((at, step))
        at = STEPS[at][step]
    last, target = path[-1], at
    order = rng.choice([None, "rank", "-rank"])
    least = rng.choice([None, 10, 60])
    to_attr = rng.choice(["", "chosen"])
    limit = rng.choice([None, 2]) if order and to_attr else None
    custom = custom and target is not None and last in MANY and rng.random() < 0.5

    def lookup():
        text = "__".join(step for _, step in path)
        if not custom:
            return text, path
        rows = model(target).objects.all()
        rows = (
            rows
            if least is None
            else rows.filter(rank__gt=least)
            if "rank" in columns(target)
            else rows
        )
        rows = rows if order is None else rows.order_by(order)
        if limit and last[0] != "Person" and last[1] != "notes":  # which Django cannot limit
            rows = rows[:limit]
        shown_path = [*path[:-1], (last[0], to_attr or last[1], order is None)]
        return Prefetch(text, queryset=rows, to_attr=to_attr), shown_path

    steps = "__".join(step for _, step in path)
    lookup.text = f"{steps} {(order, least, limit, to_attr) if custom else ''}"
    return lookup


def columns(name):
    return {field.name for field in model(name)._meta.concrete_fields}


def chosen_rows(name, share, seed):
    rng = random.Random(seed)
    order = "pk" if name == "Person" else "rank"
    rows = model(name).objects.all()
    rows = rows if name == "Person" else rows.scatter()
    keys = [
        key for key in rows.order_by(order).values_list(order, flat=True) if rng.random() < share
    ]
    return rows.filter(**{f"{order}__in": keys}).order_by(order)


def label(row):
    return None if row is None else (type(row).__name__, getattr(row, "rank", row.pk))


def shown(row, path):
    """Return the labels of all that hangs on a row along a path."""
    if row is None or not path:
        return label(row)
    (_, step, *unordered), rest = path[0], path[1:]
    there = getattr(row, step, None)  # a photo without a frame has no such attribute
    if hasattr(there, "all"):
        there = there.all()
        unordered = unordered or [True]
    if there is None or not hasattr(there, "__iter__"):
        return label(row), shown(there, rest)
    found = [shown(inner, rest) for inner in there]
    return label(row), sorted(found, key=repr) if not unordered or unordered[0] else found


def answered(question):
    try:
        return question()
    except ShardKeyRequired:
        return REFUSED


@pytest.fixture
def questions():
    rng = random.Random(20)
    return [random_question(rng) for _ in range(QUESTIONS)]


def test_prefetching_over_shards_finds_what_one_database_finds(questions, tmp_path):
    with gallery(tmp_path / "one", shards=()):
        fill()
        expected = [question() for question in questions]
    with gallery(tmp_path):
        fill()
        answers = [answered(question) for question in questions]
    wrong = [
        (question.text, answer, right)
        for question, answer, right in zip(questions, answers, expected, strict=True)
        if answer not in (right, REFUSED)
    ]
    assert wrong == []
    # Django leaves out rows that another lookup has reached; then one database is asked row by row.
    assert answers.count(REFUSED) <= QUESTIONS // 50
    assert sum(len(repr(answer)) > 200 for answer in answers) > QUESTIONS // 3


@pytest.fixture
def photos(tmp_path):
    """Two photos on different shards, each with three comments by each of two people."""
    with gallery(tmp_path):
        people = [model("Person").objects.create(pk=key, name=f"p{key}") for key in apart()]
        photos = [model("Photo").objects.create(owner=person, rank=1) for person in people]
        for rank in range(3):
            for photo in photos:
                for person in people:
                    photo.comments.create(author=person, rank=rank)
        yield photos


def asked(rows):
    """Return the shards that a prefetch asks for what hangs on rows, by the connections it opens queries on."""
    with ExitStack() as stack:
        seen = {
            alias: stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in NAMES
        }
        rows()
    return {alias for alias, queries in seen.items() if len(queries)}


def test_the_first_few_of_each_row_are_right_over_shards(photos):
    top = model("Comment").objects.order_by("-rank")[:2]
    prefetch_related_objects(photos, Prefetch("comments", queryset=top, to_attr="top"))
    assert [[comment.rank for comment in photo.top] for photo in photos] == [[2, 2], [2, 2]]


def test_the_first_few_of_an_unsharded_row_are_refused_where_they_lie_on_several_shards(photos):
    people = list(model("Person").objects.all())
    top = model("Comment").objects.order_by("-rank")[:2]
    with pytest.raises(CrossShardQuery, match="Prefetch them all"):
        prefetch_related_objects(people, Prefetch("comments", queryset=top, to_attr="top"))


def test_what_hangs_on_an_unsharded_row_comes_in_the_order_asked_for(photos):
    ordered = model("Comment").objects.order_by("-rank", "pk")
    people = model("Person").objects.prefetch_related(Prefetch("comments", queryset=ordered))
    for person in people:
        assert [comment.rank for comment in person.comments.all()] == [2, 2, 1, 1, 0, 0]


def test_prefetching_for_rows_of_one_shard_asks_no_other(photos):
    story = model("Story").objects.create(owner_id=1)
    model("Remark").objects.create(story=story)
    stories = model("Story").objects.filter(owner_id=1).prefetch_related("remarks__story")
    assert asked(lambda: list(stories)) == {home(1)}
    assert asked(lambda: list(stories.iterator(10))) == {home(1)}
    remarks = model("Remark").objects.filter(story__owner_id=1).prefetch_related("story__remarks")
    assert asked(lambda: list(remarks)) == {home(1)}


def test_async_iteration_prefetches_over_shards(photos):
    async def read():
        rows = model("Photo").objects.scatter().prefetch_related("comments__author")
        return [len(photo.comments.all()) async for photo in rows.aiterator(1)]

    assert async_to_sync(read)() == [6, 6]
