"""The process-local tier by itself: what it keeps, for how long, and what it must never keep."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalekit.cache import MISSING
from scalekit.cache.copies import Kept
from scalekit.cache.local import NO_TICKET, LocalTier


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def tier(now):
    tier = LocalTier(max_entries=3, ttl=5, clock=lambda: now[0])
    tier.switch_on()
    return tier


def keep(tier, key, value, *names, **options):
    return tier.put(key, value, names or (key,), tier.begin(), **options)


@pytest.mark.parametrize("value", [None, 0, "", [], {}, {"a": [1]}, (1, (2, 3)), {1, 2}, b"x"])
def test_what_was_put_is_there(tier, value):
    assert keep(tier, "k", value)
    assert tier.get("k") == value
    assert "k" in tier


def test_what_was_not_put_is_missing(tier):
    assert tier.get("k") is MISSING
    assert "k" not in tier


def test_a_key_may_be_any_typed_tuple(tier):
    keep(tier, ("profile", 1), "one", "stored:1")
    assert tier.get(("profile", 1)) == "one"
    tier.drop(["stored:1"])
    assert tier.get(("profile", 1)) is MISSING


@pytest.mark.parametrize(("seconds", "lives"), [(None, 5), (60, 5), (2, 2), (0.5, 0.5)])
def test_it_ends_with_the_stored_value_and_never_later_than_the_ttl(tier, now, seconds, lives):
    keep(tier, "k", 1, seconds=seconds)
    now[0] += lives - 0.01
    assert tier.get("k") == 1
    now[0] += 0.01
    assert tier.get("k") is MISSING
    assert "k" not in tier


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_has_ended_already_is_not_kept(tier, seconds):
    assert not keep(tier, "k", 1, seconds=seconds)


IMMUTABLE = [None, "text", b"bytes", 7, 1.5, Decimal(1), date(2026, 1, 1), (1, ("a", None))]


@pytest.mark.parametrize("value", IMMUTABLE)
def test_what_cannot_change_is_given_as_it_is(tier, value):
    keep(tier, "k", value)
    assert tier.get("k") is value


@pytest.mark.parametrize(
    ("value", "spoil"),
    [
        ([1, 2], lambda v: v.append(3)),
        ({"a": 1}, lambda v: v.clear()),
        ({1}, lambda v: v.add(2)),
        ({"a": [1]}, lambda v: v["a"].append(2)),
        (([1],), lambda v: v[0].append(2)),
        ([{"a": 1}], lambda v: v[0].clear()),
        (bytearray(b"a"), lambda v: v.extend(b"b")),
        ({"a": {"b": [{"c": 1}]}}, lambda v: v["a"]["b"][0].clear()),
        ({"a": 1, "b": ({"c": 1}, 2)}, lambda v: v["b"][0].update(d=1)),
        ([1, {2}, "x"], lambda v: v[1].add(3)),
        (OrderedDict(a=[1]), lambda v: v["a"].append(2)),
    ],
)
def test_no_caller_spoils_it_for_the_next(tier, value, spoil):
    keep(tier, "k", value)
    spoil(value)  # whoever put it
    first = tier.get("k")
    assert first != value
    spoil(first)
    assert tier.get("k") != first


def test_what_stands_in_two_places_still_does(tier):
    row = [1]
    keep(tier, "k", {"a": row, "b": row})
    value = tier.get("k")
    assert value["a"] is value["b"]
    row.append(row)
    keep(tier, "circle", row)
    circle = tier.get("circle")
    assert circle[1] is circle
    assert circle is not row


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
        | st.sets(st.integers())
    ),
)


@given(JSON)
def test_a_copy_equals_and_shares_nothing_that_can_change(value):
    kept = Kept(value)
    copies = [kept.value if kept.give is None else kept.give() for _ in range(2)]
    assert copies[0] == copies[1] == value
    parts = [{id(part) for part in changeable(copy)} for copy in (value, *copies)]
    assert sum(map(len, parts)) == len(set().union(*parts))


def changeable(value):
    """Return every list, set and dict in a value."""
    if isinstance(value, list | set | dict):
        yield value
    if isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from changeable(part)


@pytest.mark.parametrize("count", [10, 1000])
def test_many_rows_are_copied_as_few(tier, count):
    rows = [{"id": n, "tags": ["a"]} for n in range(count)]
    keep(tier, "k", rows)
    tier.get("k")[-1]["tags"].append("spoiled")
    assert tier.get("k") == rows


def test_what_cannot_be_copied_is_not_kept(tier):
    assert not keep(tier, "k", threading.Lock())
    assert not keep(tier, "k", lambda: 1)


def test_the_least_recently_used_goes_first(tier):
    for key in "abc":
        keep(tier, key, key)
    tier.get("a")
    keep(tier, "d", "d")
    assert [key for key in "abcd" if key in tier] == ["a", "c", "d"]


def test_it_is_bounded_in_bytes(now):
    tier = LocalTier(max_bytes=1000, clock=lambda: now[0])
    tier.switch_on()
    for n in range(10):
        keep(tier, n, b"x" * 300, str(n))
    assert len(tier) == 3
    assert tier.bytes <= 1000
    assert not keep(tier, "large", b"x" * 2000)


def test_a_size_that_is_known_counts(now):
    tier = LocalTier(max_bytes=1000, clock=lambda: now[0])
    tier.switch_on()
    keep(tier, "a", 1, size=600)
    keep(tier, "b", 1, size=600)
    assert len(tier) == 1


def test_bytes_are_given_back(tier):
    for _ in range(3):
        keep(tier, "a", [1] * 100)
    tier.drop(["a"])
    assert (tier.bytes, len(tier), tier._dependents) == (0, 0, {})


def test_a_change_of_any_of_its_names_ends_it(tier):
    keep(tier, "page", 1, "page", "tag:user", "tag:photo")
    keep(tier, "other", 2)
    tier.drop(["tag:photo"])
    assert tier.get("page") is MISSING
    assert tier.get("other") == 2


def test_what_changed_while_it_was_fetched_is_not_kept(tier):
    ticket = tier.begin()
    tier.drop(["tag"])
    assert not tier.put("page", 1, ("page", "tag"), ticket)
    assert tier.get("page") is MISSING


def test_a_change_of_something_else_meanwhile_costs_nothing(tier):
    ticket = tier.begin()
    tier.drop(["another"])
    assert tier.put("page", 1, ("page",), ticket)


def test_a_change_before_the_fetch_costs_nothing(tier):
    tier.drop(["page"])
    assert tier.put("page", 1, ("page",), tier.begin())


def test_what_began_before_all_was_cleared_is_not_kept(tier):
    ticket = tier.begin()
    tier.clear()
    assert not tier.put("page", 1, ("page",), ticket)


def test_what_began_before_changes_were_forgotten_is_not_kept(tier, monkeypatch):
    monkeypatch.setattr("scalekit.cache.local._REMEMBERED", 2)
    ticket = tier.begin()
    tier.drop(["page", "b", "c"])
    assert not tier.put("page", 1, ("page",), ticket)
    assert tier.put("page", 1, ("page",), tier.begin())


def test_while_it_is_off_it_keeps_nothing_and_says_it_is_wanted():
    asked = []
    tier = LocalTier(wanted=lambda: asked.append(1))
    ticket = tier.begin()
    assert (ticket, asked) == (NO_TICKET, [1])
    tier.switch_on()
    assert not tier.put("k", 1, ("k",), ticket)


def test_switched_off_it_forgets(tier):
    keep(tier, "k", 1)
    ticket = tier.begin()
    tier.switch_off()
    assert tier.get("k") is MISSING
    tier.switch_on()
    assert tier.get("k") is MISSING
    assert not tier.put("k", 1, ("k",), ticket)


def test_threads_do_not_break_it(now):
    tier = LocalTier(max_entries=50, clock=lambda: now[0])
    tier.switch_on()
    gate = threading.Barrier(5)

    def work(salt):
        gate.wait(5)
        for n in range(2000):
            key = str(n * salt % 97)
            keep(tier, key, [n], key, f"tag:{n % 7}")
            tier.get(key)
            if n % 10 == 0:
                tier.drop([f"tag:{n % 7}"])

    threads = [threading.Thread(target=work, args=(salt,)) for salt in (1, 3, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(tier) <= 50
    tier.drop([f"tag:{n}" for n in range(7)])
    assert (len(tier), tier.bytes, tier._dependents) == (0, 0, {})
