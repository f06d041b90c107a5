"""What an invalidation tells later loads, and what those then see."""

from __future__ import annotations

import time

import pytest
from django.db import connections, transaction

from scalekit.cache import invalidate_tags, store
from scalekit.cache.invalidation.base import seeing
from scalekit.cache.invalidation.facts import facts_of_write, replica_seconds
from scalekit.core.context import Fact, unit_of_work
from tests.cache.shop.models import Photo
from tests.cache.shop.recorder import Recorder

HEIGHT: Fact[int] = Fact("sample_height", 0, portable=True, load=int, merge=max)
NOISE: Fact[str] = Fact("sample_noise", "", portable=True)
KEPT: Fact[str] = Fact("sample_kept", "", renew=lambda found: "")


class Facts(Recorder):
    """Also writes down the facts."""

    def release(self, names, *, holder, changed, facts=None):
        super().release(names, holder=holder, changed=changed, facts=facts)
        self.facts = facts

    def invalidate(self, names, *, facts=None):
        super().invalidate(names, facts=facts)
        self.facts = facts


@pytest.fixture
def recorder():
    store._stores["default"] = Facts()
    return store._stores["default"]


def test_only_demands_travel():
    with unit_of_work():
        HEIGHT.set(7)
        NOISE.set("x")
        assert facts_of_write()["demands"] == {"sample_height": 7}
    assert facts_of_write() == {}


def test_a_load_meets_the_demands_of_all_its_stamps():
    with unit_of_work():
        HEIGHT.set(5)
        with seeing([told(4), told(7), {}]):
            assert HEIGHT.get() == 7
        with seeing([told(4)]):
            assert HEIGHT.get() == 5
        assert HEIGHT.get() == 5


def told(height, *, age=0.0):
    return {"at": time.time() - age, "demands": {"sample_height": height}}


def test_a_load_that_writes_tells_of_what_it_has_written():
    with unit_of_work():
        with seeing([told(4)]):
            HEIGHT.set(9)
            assert facts_of_write()["demands"] == {"sample_height": 9}
        assert HEIGHT.get() == 9


def test_old_facts_demand_nothing(settings):
    settings.SCALEKIT_CACHE_REPLICA_LAG = 10
    with seeing([told(7, age=11)]):
        assert HEIGHT.get() == 0


def test_a_block_that_must_see_more_keeps_no_server():
    with unit_of_work():
        KEPT.set("replica_1")
        with seeing([told(7)]):
            assert KEPT.get() == ""
        with seeing([]):
            assert KEPT.get() == "replica_1"


@pytest.mark.parametrize(
    "facts",
    [
        {"at": "x", "demands": {"sample_height": 7}},
        {"at": 9e99, "demands": {"sample_height": 7}},
        {"at": time.time(), "demands": 7},
        {"at": time.time(), "demands": {"sample_height": "tall"}},
        {"at": time.time(), "demands": {"sample_noise": "x"}},
        {"at": time.time(), "demands": {"nothing": 1}},
        {"other": 1},
    ],
)
def test_facts_that_nobody_can_have_written_demand_nothing(facts):
    with seeing([facts]):
        assert (HEIGHT.get(), NOISE.get()) == (0, "")


def test_without_replicas_no_lag_is_waited_for():
    assert replica_seconds() == 0


def test_replicas_are_known_from_the_databases(monkeypatch):
    monkeypatch.setitem(connections.settings, "replica", {"SCALEKIT": {"REPLICA_OF": "default"}})
    assert replica_seconds() == 15


def test_a_mirror_is_a_replica_but_for_tests(monkeypatch):
    monkeypatch.setitem(connections.settings, "replica", {"TEST": {"MIRROR": "default"}})
    assert replica_seconds() == 0
    monkeypatch.delattr("django.test.utils._TestState.saved_data")
    assert replica_seconds() == 15


def test_nothing_is_kept_while_a_replica_may_lack_a_write_of_which_no_fact_tells(
    settings, recorder
):
    settings.SCALEKIT_CACHE_REPLICA_LAG = 3
    invalidate_tags("a")
    assert recorder.words == ["hold", "changed"]


def test_what_facts_tell_need_not_be_waited_for(settings, recorder):
    settings.SCALEKIT_CACHE_REPLICA_LAG = 3
    with unit_of_work():
        HEIGHT.set(7)
        invalidate_tags("a")
    assert recorder.words == ["changed"]
    assert recorder.facts["demands"] == {"sample_height": 7}


def test_the_facts_are_those_of_the_unit_that_wrote(photos, recorder):
    with unit_of_work(), transaction.atomic():
        Photo.objects.create(title="sea")
        HEIGHT.set(9)
    assert recorder.facts["demands"] == {"sample_height": 9}
