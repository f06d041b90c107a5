"""The shard that a job is enqueued for: what another rung finds by the name of a fact."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import override_settings

from scalekit.core.context import facts
from scalekit.db import using_shard
from scalekit.db.exceptions import ShardKeyRequired


def shards_for(group, key):
    return facts["db_shards_for"].get()(group, key)


@pytest.mark.parametrize("group", ["users", None])
def test_shards_of_a_key_are_those_that_using_shard_binds(shards, group):
    with using_shard("users", 7):
        bound = facts["db_shards"].get()
    assert shards_for(group, 7) == bound


def test_shards_of_other_groups_stay_bound(shards):
    with facts["db_shards"].bind({"teams": 3}):
        assert shards_for("users", 7)["teams"] == 3


def test_of_several_groups_one_must_be_named(shards):
    two = dict.fromkeys(("users", "teams"), settings.SCALEKIT_DB_SHARDING["users"])
    with (
        override_settings(SCALEKIT_DB_SHARDING=two),
        pytest.raises(ShardKeyRequired, match="users, teams"),
    ):
        shards_for(None, 7)
