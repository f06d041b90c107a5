from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalekit.sessions.records import Change, Record, name_of
from scalekit.sessions.stores.database import LARGE, pack, unpack

FIELDS = st.dictionaries(st.binary(max_size=8), st.binary(max_size=40), max_size=6)


@settings(deadline=None, max_examples=50)
@given(FIELDS)
def test_what_is_packed_is_unpacked(fields):
    assert unpack(pack(fields)) == fields


def test_what_is_large_is_made_smaller():
    fields = {b"key:a": b"cyanotype " * 1000}
    assert len(pack(fields)) < LARGE
    assert unpack(pack(fields)) == fields


@pytest.mark.parametrize("garbage", ["", "[]", "no json", "zAAAA", "z%%%", '{"a": 1}'])
def test_garbage_is_refused(garbage):
    with pytest.raises((ValueError, AttributeError)):
        unpack(garbage)


@settings(deadline=None, max_examples=50)
@given(before=FIELDS, now=FIELDS, after=FIELDS)
def test_a_merge_keeps_what_others_did_and_this_request_did_not(before, now, after):
    base = Record(before, 0, 0)
    merged = Change("update", now, base, 100).merged_into(after)
    for name in {*before, *now, *after}:
        untouched = before.get(name) == now.get(name)
        assert merged.get(name) == (after if untouched else now).get(name)


@settings(deadline=None, max_examples=50)
@given(now=FIELDS, after=FIELDS)
def test_a_save_that_has_read_nothing_replaces_all(now, after):
    assert Change("replace", now, None, 100).merged_into(after) == now


def test_names_say_nothing_of_the_key():
    assert name_of("a" * 32) != name_of("a" * 31 + "b")
    assert len(name_of("\ud800")) == 64
