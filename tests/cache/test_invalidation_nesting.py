"""However blocks of `atomic()` nest and fail, what ends is what was committed, and no hold is left."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalekit.cache.invalidation.base import is_dirty
from tests.cache.shop.models import Country, Owner, Unrelated, Upload
from tests.db.databases import Interruption

pytestmark = pytest.mark.usefixtures("photos")

MODELS = {"owner": Owner, "upload": Upload, "unrelated": Unrelated, "country": Country}
writes = st.sampled_from(sorted(MODELS))
blocks = st.recursive(
    writes,
    lambda inner: st.tuples(st.lists(inner, max_size=4), st.booleans()),
    max_leaves=8,
)
NAMES = [f":1:scalekit:model:gallery.{name}" for name in MODELS]


def run(block):
    """Do what `block` says; return the models whose writes were not taken back."""
    if isinstance(block, str):
        MODELS[block].objects.update(name="x")
        return {block}
    inner, fails = block
    kept = set()
    with suppress(Interruption), transaction.atomic():
        kept = set().union(*map(run, inner))
        if fails:
            raise Interruption
    return set() if fails else kept


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(blocks, max_size=4), st.booleans())
def test_what_ends_is_what_was_committed(told, inner, fails):
    told.forget()
    kept = run((inner, fails))
    ended = {name.removeprefix("model:gallery.") for name in told.ended if name[:5] == "model"}
    assert ended == kept
    assert told.words.count("changed") <= 1
    assert not is_dirty(NAMES)
    holds, releases = Counter(), Counter()
    for word, names in told.told:
        (holds if word == "hold" else releases).update(names)
    assert holds == releases
