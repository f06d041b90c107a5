"""The lines that the page on schemes tells people to write: they work as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import override_settings

from scalekit.db.conf import resolvers, schemes

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "sharding_schemes.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def ran(text):
    """What the block of the page that has this text defines."""
    names = {}
    exec(next(block for block in BLOCKS if text in block), names)
    return names


SHARDING = ran("SCALEKIT_DB_SHARDING = ")["SCALEKIT_DB_SHARDING"]


@pytest.mark.parametrize("group", SHARDING)
def test_the_page_s_setting_of_each_scheme_is_right(group):
    with override_settings(SCALEKIT_DB_SHARDING=SHARDING):
        assert schemes[group].shards == ("shard_0", "shard_1")


def test_the_page_s_resolvers_are_right():
    selector = ran("SCALEKIT_DB_SHARD_SELECTOR = ")["SCALEKIT_DB_SHARD_SELECTOR"]
    with override_settings(SCALEKIT_DB_SHARD_SELECTOR=selector):
        assert [resolvers[group].alias for group in resolvers] == ["users", "tenants"]


def test_the_page_s_own_scheme_places_keys():
    scheme = ran("class Rendezvous")["Rendezvous"]("users", shards=["a", "b", "c"])
    assert {scheme.shard_for(key) for key in range(100)} == {"a", "b", "c"}
    assert scheme.shard_for_slot(scheme.slot(7)) == scheme.shard_for("07")
