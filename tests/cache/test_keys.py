from __future__ import annotations

import enum
import shutil
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalekit.cache.exceptions import UncacheableArgument
from scalekit.cache.keys import KeyMaker, encode

ROOT = Path(__file__).resolve().parents[2]


class Colour(enum.Enum):
    RED = "red"


class Mode(enum.StrEnum):
    FAST = "fast"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Nowhere(tzinfo):
    def utcoffset(self, when):
        return timedelta(0)


def instance(label="shop.item", pk=1, db="default", *, adding=False):
    return SimpleNamespace(
        pk=pk,
        _meta=SimpleNamespace(label_lower=label),
        _state=SimpleNamespace(adding=adding, db=db),
    )


GOLDEN = [
    (None, "n0:"),
    (True, "b1:1"),
    (255, "i2:ff"),
    (-1, "i2:-1"),
    (1.5, "f3:1.5"),
    ("ä:1", "s3:ä:1"),
    (b"\x00\xff", "y4:00ff"),
    (Decimal("1.50"), "d4:1.50"),
    (UUID(int=1), "u36:00000000-0000-0000-0000-000000000001"),
    (date(2026, 11, 24), "D10:2026-11-24"),
    (datetime(2026, 11, 24, 1, 2, tzinfo=UTC), "T25:2026-11-24T01:02:00+00:00"),
    (time(1, 2), "t8:01:02:00"),
    (timedelta(days=1, microseconds=2), "p5:1,0,2"),
    ((1, "a"), "(8:i1:1s1:a"),
    ([1, "a"], "[8:i1:1s1:a"),
    ({2, 1}, "{8:i1:1i1:2"),
    (frozenset({1}), "<4:i1:1"),
    ({"b": 1, "a": None}, "m15:s1:an0:s1:bi1:1"),
    (instance(), "o30:(26:s9:shop.itemi1:1s7:default"),
]


@pytest.mark.parametrize(("value", "text"), GOLDEN, ids=repr)
def test_golden_vectors(value, text):
    assert encode(value) == text


def test_golden_key():
    def profile(user_id, lang="en"): ...

    maker = KeyMaker("shop.views.profile", 1, signature(profile))
    key = "scalekit:shop.views.profile:1:53cd52aa1b52e9cbbd4d518ff60c268037b5ba98"
    assert maker.key((42,), {}) == key


# The module alone, as another Python may not run this one's Django.
ALONE = """
import runpy, sys, types
from datetime import datetime
stub = types.SimpleNamespace(UncacheableArgument=TypeError)
sys.modules.update({"scalekit": stub, "scalekit.cache": stub, "scalekit.cache.exceptions": stub})
encode = runpy.run_path(sys.argv[1])["encode"]
print(encode(eval(sys.argv[2])))
"""
VALUE = "{'a': {1, 'x', None, 2.5}, 'b': frozenset('abcdef'), 'c': datetime.max}"


def pythons():
    """Return this Python, and all others that this machine can run."""
    found = (shutil.which(f"python3.{minor}") for minor in range(11, 20))
    others = [path for path in found if path and not subprocess.call([path, "-c", ""], stderr=-3)]
    return [sys.executable, *others]


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_a_key_is_the_same_under_every_hash_seed_and_python(seed):
    said = {
        subprocess.check_output(
            [python, "-c", ALONE, ROOT / "scalekit/cache/keys.py", VALUE],
            env={"PYTHONHASHSEED": seed},
            text=True,
        ).strip()
        for python in pythons()
    }
    assert said == {encode(eval(VALUE, {"datetime": datetime}))}


BERLIN, PARIS = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Paris")
DIFFERENT = [
    1, True, 1.0, "1", b"1", Decimal(1), None, "None", "", (), [], {}, set(), frozenset(), (1,), [1], ((1,),),
    ("a", "b"), ("a,b",), ("ab",), "s1:a", ("s1:a",), ("a", "s1:b"), {"a": 1}, {"a": "1"}, {1: "a"}, [("a", 1)],
    date(2026, 1, 1), datetime(2026, 1, 1), "2026-01-01", Colour.RED, "red", Mode.FAST, "fast",  # noqa: DTZ001 - a time without a zone is the case
    Right.READ, Right.READ | Right.WRITE, UUID(int=1), str(UUID(int=1)), 0, -1, 10**5000,
    time(1, 2), time(1, 2, tzinfo=UTC), time(1, 2, tzinfo=BERLIN), time(1, 2, tzinfo=PARIS),
    datetime(2026, 1, 1, fold=1), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),  # noqa: DTZ001 - a time without a zone is the case
    datetime(2026, 1, 1, tzinfo=BERLIN), datetime(2026, 1, 1, tzinfo=PARIS), timedelta(1), timedelta(seconds=1),
    instance(), instance(pk=2), instance(pk="1"), instance("shop.other"), instance(db="shard_1"), ("shop.item", 1),
]  # fmt: skip


def test_no_two_values_share_a_key():
    assert len({encode(value) for value in DIFFERENT}) == len(DIFFERENT)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, values)
def test_equal_text_means_equal_value_of_equal_type(one, other):
    if encode(one) == encode(other):
        assert one == other
        assert type(one) is type(other)


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_what_stands_side_by_side_cannot_be_cut_elsewhere(one, other):
    joined = "".join(map(encode, one)) == "".join(map(encode, other))
    assert joined == (list(map(encode, one)) == list(map(encode, other)))


def turned(value):
    """Return an equal value whose dicts and sets are in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    if isinstance(value, (list, tuple)):
        return type(value)(map(turned, value))
    return deepcopy(value)


@given(values)
def test_equal_values_have_equal_text(value):
    assert encode(turned(value)) == encode(value)


def maker_of(function, **options) -> KeyMaker:
    return KeyMaker("m.f", options.pop("version", 1), signature(function), **options)


def test_one_call_has_one_key_however_it_is_written():
    def f(a, b=2, *rest, c=3, **more): ...

    key = maker_of(f).key
    assert key((1,), {}) == key((), {"a": 1}) == key((1, 2), {"c": 3}) == key((), {"b": 2, "a": 1})
    assert key((1, 2, 3), {}) != key((1, 2), {"c": 4}) != key((1, 2), {"d": 3})


simple = (
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates() | st.uuids()
)
calls = st.lists(simple | values, max_size=3).map(tuple)


@given(calls, calls)
def test_the_local_key_is_equal_when_the_key_is(one, other):
    def f(*rest): ...

    def g(a=None, b=0, c=""): ...

    for maker in (maker_of(f), maker_of(g)):
        same_key = maker.key(one, {}) == maker.key(other, {})
        assert (maker.local(one, {}) == maker.local(other, {})) == same_key
        assert maker.local(one, {}) == maker.local(deepcopy(one), {})
        assert hash(maker.local(one, {})) == hash(maker.local(deepcopy(one), {}))


def test_local_keys_are_typed_and_belong_to_one_function():
    def f(a, b=2): ...

    maker, other = maker_of(f), KeyMaker("m.g", 1, signature(f))
    keys = [maker.local((one,), {}) for one in (0, False, "", b"", None, 0.0, -0.0, [], ())]
    assert len({*keys, other.local((0,), {})}) == len(keys) + 1
    assert maker.local((1,), {}) == maker.local((), {"b": 2, "a": 1})


def test_every_kind_of_parameter_is_bound():
    def f(a, b=1, /, c=2, *rest, d, e=3, **more): ...

    assert maker_of(f).bind((7,), {"d": 8, "x": 9}) == (7, 1, 2, (), 8, 3, {"x": 9})


def test_a_default_may_be_named_as_our_own_variables_are():
    def f(defaults=[1], _=None): ...  # noqa: B006 - a default that can change is the case

    assert maker_of(f).bind((), {}) == ([1], None)


def test_what_is_nested_without_end_is_refused():
    def f(a): ...

    endless = []
    endless.append(endless)
    with pytest.raises(UncacheableArgument, match="nested too deeply"):
        maker_of(f).key((endless,), {})


def test_version_and_name_are_part_of_the_key():
    def f(): ...

    keys = {maker_of(f).key((), {}), maker_of(f, version=2).key((), {})}
    keys.add(KeyMaker("m.g", 1, signature(f)).key((), {}))
    assert len(keys) == 3


def test_a_key_fits_memcached():
    def f(): ...

    key = KeyMaker("ünïcode <locals> \n" * 40, 1, signature(f)).key((), {})
    assert len(key) < 200
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key


def test_instances_from_two_replicas_have_one_key():
    def f(item): ...

    home = {"replica_1": "default", "replica_2": "default"}.get
    key = maker_of(f, database=lambda alias: home(alias, alias)).key
    keys = {key((instance(db=db),), {}) for db in ("default", "replica_1", "replica_2")}
    assert len(keys) == 1
    assert key((instance(db="shard_1"),), {}) not in keys


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (instance(pk=None), "unsaved"),
        (instance(adding=True), "unsaved"),
        (SimpleNamespace(query=1, model=1), "queryset"),
        (object(), "type builtins.object"),
        ([object()], "type builtins.object"),
        (datetime(2026, 1, 1, tzinfo=Nowhere()), "its time zone has no name"),
        (int, "class int"),
    ],
)
def test_what_has_no_identity_is_refused_with_the_remedy(value, why):
    def f(thing): ...

    with pytest.raises(UncacheableArgument, match=rf"m\.f: thing .*{why}.*key=lambda thing"):
        maker_of(f).key((value,), {})


def test_subclasses_are_no_plain_values():
    class Loud(str):
        __slots__ = ()

    with pytest.raises(UncacheableArgument):
        encode(Loud("a"))


def test_chosen_key_replaces_the_arguments():
    def f(request, page): ...

    key = maker_of(f, chosen=lambda request, page: page).key
    assert key((object(), 1), {}) == key((object(), 1), {})
    assert key((object(), 1), {}) != key((object(), 2), {})


def test_a_wrong_call_is_python_s_error():
    def f(a): ...

    with pytest.raises(TypeError, match="too many positional"):
        maker_of(f).key((1, 2), {})
