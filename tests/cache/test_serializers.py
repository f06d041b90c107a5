from __future__ import annotations

import sys
from collections import namedtuple
from dataclasses import dataclass, make_dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from django.contrib.auth.models import Group
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from scalekit.cache.exceptions import SerializerMissing, UncacheableValue, Unreadable
from scalekit.cache.serializers import serializer_of
from scalekit.cache.serializers.json import JsonSerializer
from scalekit.cache.serializers.msgpack import MsgpackSerializer
from scalekit.cache.serializers.pickle import PickleSerializer
from scalekit.core.exceptions import SettingInvalid

SERIALIZERS = [PickleSerializer("default"), JsonSerializer("default"), MsgpackSerializer("default")]
every = pytest.mark.parametrize("serializer", SERIALIZERS, ids=lambda s: type(s).__name__)
faithful = pytest.mark.parametrize("serializer", SERIALIZERS[1:], ids=lambda s: s.format)

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    # surrogates are no text in either format
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


class Weekday(IntEnum):
    MONDAY = 1


@dataclass
class Price:
    amount: int


class Point(NamedTuple):
    x: int
    y: int


@every
@given(value=plain.filter(lambda value: value not in (float("inf"), float("-inf"))))
def test_plain_data_comes_back_as_it_went(serializer, value):
    try:
        payload = serializer.dumps(value)
    except UncacheableValue:  # an infinity deep inside, which JSON does not know
        assert "inf" in repr(value)
    else:
        assert serializer.loads(payload) == value


@faithful
@pytest.mark.parametrize(
    "value",
    [(1, 2), [(1,)], {"a": (1,)}, {1, 2}, Weekday.MONDAY, mark_safe("<b>"), Decimal(1), object(), Price(1)],
    ids=repr,
)  # fmt: skip
def test_what_would_come_back_changed_is_refused(serializer, value):
    with pytest.raises(UncacheableValue, match="use the pickle serializer"):
        serializer.dumps(value)


def test_json_refuses_keys_that_are_no_text_and_msgpack_keeps_them():
    json, msgpack = SERIALIZERS[1:]
    with pytest.raises(UncacheableValue, match="changed"):
        json.dumps({1: "a"})
    assert msgpack.loads(msgpack.dumps({1: "a"})) == {1: "a"}


def test_msgpack_keeps_bytes_and_moments_in_utc():
    _, _, msgpack = SERIALIZERS
    value = [b"\x00", datetime(2026, 11, 26, 1, 2, 3, 4, tzinfo=UTC), float("nan")]
    assert msgpack.loads(msgpack.dumps(value))[:2] == value[:2]
    with pytest.raises(UncacheableValue):
        msgpack.dumps(datetime(2026, 11, 26, tzinfo=timezone(timedelta(hours=2))))


def test_an_absent_package_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(SerializerMissing, match=r'pip install "django-scalekit\[msgpack\]"'):
        MsgpackSerializer("default")


@pytest.mark.parametrize(
    "value", [Price(3), Point(1, 2), [Price(1), Price(2)], {"at": Point(0, 0)}]
)
def test_instances_are_pickled(value):
    pickled = PickleSerializer("default")
    assert pickled.loads(pickled.dumps(value)) == value


def stored_before(monkeypatch, name, before, value, after):
    """Store `value` while `name` of this module is `before`; read it when it is `after`."""
    module, pickled = sys.modules[__name__], PickleSerializer("default")
    for kind in (before, after):
        kind.__module__, kind.__qualname__ = __name__, name
    monkeypatch.setattr(module, name, before, raising=False)
    payload = pickled.dumps(value)
    monkeypatch.setattr(module, name, after)
    return pickled.loads(payload)


@pytest.mark.parametrize(
    "fields",
    [[("amount", int), ("currency", str)], [("sum", int)], [("amount", str)], []],
    ids=["added", "renamed", "retyped", "removed"],
)
def test_a_dataclass_whose_fields_have_changed_is_unreadable(monkeypatch, fields):
    before, after = make_dataclass("Fee", [("amount", int)]), make_dataclass("Fee", fields)
    with pytest.raises(Unreadable, match="fields of Fee have changed"):
        stored_before(monkeypatch, "Fee", before, [before(1)], after)


def test_a_class_that_is_as_it_was_is_readable_after_a_deploy(monkeypatch):
    before, after = (make_dataclass("Fee", [("amount", int)]) for _ in range(2))
    assert stored_before(monkeypatch, "Fee", before, before(1), after).amount == 1


def test_slots_and_named_tuples_that_have_changed_are_unreadable(monkeypatch):
    one, two = (type("Slotted", (), {"__slots__": slots}) for slots in (("a",), ("a", "b")))
    with pytest.raises(Unreadable):
        stored_before(monkeypatch, "Slotted", one, one(), two)
    turned = namedtuple("Point", "y x")  # noqa: PYI024 - made in a test, to be another Point
    with pytest.raises(Unreadable):
        stored_before(monkeypatch, "Point", Point, Point(1, 2), turned)


def test_attrs_classes_that_have_changed_are_unreadable(monkeypatch):
    one, two = (
        type("Made", (), {"__attrs_attrs__": [SimpleNamespace(name="a", type=kind)]})
        for kind in (int, str)
    )
    with pytest.raises(Unreadable, match="fields of Made"):
        stored_before(monkeypatch, "Made", one, one(), two)


def test_a_model_whose_fields_have_changed_is_unreadable(monkeypatch):
    pickled = PickleSerializer("default")
    payload = pickled.dumps(Group(name="staff"))
    assert pickled.loads(payload).name == "staff"
    monkeypatch.setattr("scalekit.cache.serializers.pickle.shape_of", lambda kind: ("id", "title"))
    with pytest.raises(Unreadable, match="Group"):
        pickled.loads(payload)


def test_a_cache_may_have_a_serializer_of_its_own(settings):
    path = "scalekit.cache.serializers.{}".format
    settings.SCALEKIT_CACHE_SERIALIZER = {
        "default": {"BACKEND": path("pickle.PickleSerializer")},
        "shared": {"BACKEND": path("json.JsonSerializer")},
    }
    assert isinstance(serializer_of("shared"), JsonSerializer)
    assert isinstance(serializer_of("other"), PickleSerializer)


def test_a_wrong_serializer_is_named(settings):
    settings.SCALEKIT_CACHE_SERIALIZER = {"default": {"BACKEND": "json.JSONEncoder"}}
    with pytest.raises(
        SettingInvalid, match=r"SCALEKIT_CACHE_SERIALIZER\['default'\].*no Serializer"
    ):
        serializer_of("default")
