from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from scalekit.db import ShardedModel, SnowflakeField
from scalekit.db.checks import READ_YOUR_WRITES, check_databases
from scalekit.db.sharding.checks import faults_of_model
from tests.db.databases import databases, replica_of, sharding, sqlite

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
OUR_SESSIONS = "scalekit.sessions.middleware.SessionMiddleware"
MIDDLEWARE = [READ_YOUR_WRITES, SESSIONS]
MIRROR = {"MIRROR": "default"}


def found(entries=None, **settings):
    """Return the ids of what the checks find wrong with these databases beside `default`."""
    entries = {"default": sqlite(":memory:"), **(entries or {})}
    with databases(entries, **{"MIDDLEWARE": MIDDLEWARE, **settings}):
        return [message.id.removeprefix("scalekit.db.") for message in check_databases()]


def replica(primary="default", test=MIRROR, **options):
    return sqlite(":memory:", SCALEKIT=replica_of(primary, **options), TEST=test)


def test_nothing_configured_is_fine():
    assert found(MIDDLEWARE=[], DATABASE_ROUTERS=[]) == []


def test_a_sound_cluster_is_fine():
    entries = {"r": replica(), "shard_0": sqlite(":memory:")}
    assert found(entries, SCALEKIT_DB_SHARDING=sharding("shard_0")) == []


@pytest.mark.parametrize(
    ("entries", "settings", "expected"),
    [
        ({"r": {**replica(), "SCALEKIT": {"REPLICA": "default"}}}, {}, ["E001"]),
        ({"r": replica("nowhere")}, {}, ["E002"]),
        ({"r": replica("r")}, {}, ["E003"]),
        ({"r": replica(WEIGHT=-1)}, {}, ["E004"]),
        ({"r": replica(ZONE=3)}, {}, ["E005"]),
        ({}, {"SCALEKIT_DB_BALANCER": {"default": {"BACKEND": "nowhere.X"}}}, ["E006"]),
        ({}, {"SCALEKIT_DB_SHARDING": sharding("default", slots=1000)}, ["E006"]),
        ({}, {"SCALEKIT_DB_SHARDING": sharding("default")}, ["E006"]),
        ({}, {"SCALEKIT_DB_SHARDING": sharding("shard_9")}, ["E007"]),
        ({"r": replica()}, {"SCALEKIT_DB_SHARDING": sharding("r")}, ["E007"]),
        ({"r": replica()}, {"DATABASE_ROUTERS": []}, ["E008"]),
        ({"r": replica()}, {"MIDDLEWARE": []}, ["E009"]),
        ({"r": replica()}, {"MIDDLEWARE": [SESSIONS, READ_YOUR_WRITES]}, ["E010"]),
        ({"r": replica()}, {"MIDDLEWARE": [OUR_SESSIONS, READ_YOUR_WRITES]}, ["E010"]),
        ({"r": replica(test={"MIRROR": "nowhere"})}, {}, ["E011"]),
        ({"r": replica(test={})}, {}, ["W001"]),
        ({"r": {**replica(), "ATOMIC_REQUESTS": True}}, {}, ["W002"]),
        ({"default": sqlite(":memory:", ATOMIC_REQUESTS=True), "r": replica()}, {}, ["W006"]),
        ({"r": replica()}, {"SCALEKIT_DB_PIN_SECONDS": 12}, ["W003"]),
        ({"r": replica()}, {"SCALEKIT_DB_MAX_LAG": 58.5}, ["W003"]),
        ({"r": replica()}, {"SCALEKIT_DB_MAX_LAG": "10"}, []),
        ({}, {"SCALEKIT_DB_PIN_SECONDS": 12}, []),
        ({}, {"SCALEKIT_DB_SHARDING": "users"}, []),
        ({}, {"SCALEKIT_DB_SHARD_SELECTOR": "nowhere.of_request"}, ["E018"]),
    ],
)
def test_what_is_wrong_has_a_stable_id(entries, settings, expected):
    assert found(entries, **settings) == expected


@override_settings(SCALEKIT_DB_PIN_SECOND=3, SCALEKIT_DB_RETRY_SECONDS=-1)
def test_settings_are_checked_by_the_core():
    messages = {message.id: str(message) for message in run_checks()}
    assert "Did you mean SCALEKIT_DB_PIN_SECONDS?" in messages["scalekit.core.E001"]
    assert "a positive number" in messages["scalekit.core.E002"]


@isolate_apps("scalekit.db")
def test_models_that_could_not_be_placed_are_found():
    class Other(models.Model):
        class Meta:
            app_label = "scalekit_db"

    class Keyless(ShardedModel):
        id = SnowflakeField(primary_key=True)

        class Meta:
            app_label = "scalekit_db"

    class Wrong(ShardedModel):
        other = models.ForeignKey(Other, models.CASCADE)
        things = models.Manager()

        shard_group, shard_key = "users", "owner"

        class Meta:
            app_label = "scalekit_db"

    class Tagged(ShardedModel):
        id = SnowflakeField(primary_key=True)
        owner = models.BigIntegerField()
        tags = models.ManyToManyField(Other)

        shard_group, shard_key = "users", "owner"

        class Meta:
            app_label = "scalekit_db"

    def ids(model):
        return [fault.id.removeprefix("scalekit.db.") for fault in faults_of_model(model)]

    assert ids(Other) == []
    assert ids(Tagged) == ["E016"]
    assert ids(Keyless) == ["E012"]
    assert ids(Wrong) == ["E013", "E014", "E015", "E016", "E017"]
