"""The gallery on three shards, or on one database: the same rows, by the rank that each has."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings

from scalekit.db.conf import schemes
from tests.db.databases import create_tables, databases, sharding, sqlite

NAMES = ("shard_0", "shard_1", "shard_2")


@contextmanager
def gallery(folder, *, shards=NAMES):
    """Let Django know these shards, or one database without any, with the gallery's tables."""
    folder.mkdir(exist_ok=True)
    for path in _empty(shards).iterdir():
        shutil.copy(path, folder)
    with _opened(folder, shards):
        ContentType.objects.clear_cache()
        yield
        ContentType.objects.clear_cache()


@cache
def _empty(shards):
    """Return a folder with empty databases, made once: copying them is quicker than making tables."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    with _opened(folder, shards):
        for app in ("contenttypes", "scalekit_db"):
            create_tables("default", app=app)
        create_tables("default", *shards, app="pictures")
    return folder


@contextmanager
def _opened(folder, shards):
    entries = {name: sqlite(folder / f"{name}.sqlite3") for name in ("default", *shards)}
    with (
        override_settings(
            INSTALLED_APPS=list(dict.fromkeys([*settings.INSTALLED_APPS, "tests.db.pictures"]))
        ),
        databases(entries, SCALEKIT_DB_SHARDING=sharding(*shards) if shards else {}),
    ):
        yield


def model(name):
    return apps.get_model("pictures", name)


def home(key):
    return schemes["users"].shard_for(key)


def apart():
    """Return two keys of different shards."""
    return 1, next(key for key in range(2, 99) if home(key) != home(1))


def fill(people=8, seed=3):
    """Store the same gallery wherever it is: equal seeds give equal ranks."""
    rng, ranks = random.Random(seed), iter(range(1, 10**6))

    def new(name, **values):
        return model(name).objects.create(rank=next(ranks), **values)

    owners = [model("Person").objects.create(pk=n, name=f"p{n}") for n in range(1, people + 1)]
    for owner in owners:
        tags = [new("Tag", owner=owner) for _ in range(3)]
        for _ in range(rng.randint(0, 3)):
            photo = new("Photo", owner=owner)
            photo.tags.set(rng.sample(tags, rng.randint(0, 3)))
            if rng.random() < 0.5:
                new("Frame", photo=photo)
            for _ in range(rng.randint(0, 4)):
                comment = new("Comment", photo=photo, author=rng.choice(owners))
                for _ in range(rng.randint(0, 2)):
                    new("Like", comment=comment, fan=rng.choice(owners))
            for about in (photo, owner)[: rng.randint(0, 2)]:
                new("Note", owner_id=owner.pk, about=about)
        for _ in range(rng.randint(0, 2)):
            story = new("Story", owner_id=owner.pk)
            for _ in range(rng.randint(0, 2)):
                new("Remark", story=story)
