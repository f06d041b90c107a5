from __future__ import annotations

import logging

import pytest

from scalekit.core.events import Event, events, watch_declarations
from scalekit.testing.fakes import captured_events


@pytest.fixture
def event():
    event = Event("sample_event", "Something happened.", labels=("kind",))
    yield event
    del events["sample_event"]


def test_a_receiver_is_told_event_and_payload(event):
    seen = []
    event.subscribe(lambda event, payload: seen.append((event.name, payload)))
    event.emit(kind="a", size=3)
    assert seen == [("sample_event", {"kind": "a", "size": 3})]


def test_a_failing_observer_is_logged_and_harms_nobody(event, caplog):
    seen = []

    def fails(event, payload):
        raise ValueError("broken observer")

    event.subscribe(fails)
    event.subscribe(lambda event, payload: seen.append(payload))
    with caplog.at_level(logging.ERROR, "scalekit.events"):
        event.emit(kind="a")
    assert seen == [{"kind": "a"}]
    assert "sample_event" in caplog.text


def test_unsubscribing_ends_it_and_twice_is_harmless(event):
    seen = []
    end = event.subscribe(lambda event, payload: seen.append(payload))
    end()
    end()
    event.emit()
    assert seen == []


def test_a_name_is_declared_once(event):
    with pytest.raises(ValueError, match="exists already"):
        Event("sample_event", "Again.")


def test_a_watcher_hears_of_past_and_future_declarations():
    heard = []
    end = watch_declarations(heard.append)
    assert set(heard) == set(events.values())
    try:
        late = Event("sample_late", "Declared later.")
        assert heard[-1] is late
        end()
        Event("sample_later", "Nobody watches.")
        assert heard[-1] is late
    finally:
        events.pop("sample_late")
        events.pop("sample_later", None)


def test_captured_events_holds_what_the_block_announced_and_nothing_else(event):
    with captured_events("sample_event") as captured:
        event.emit(kind="in")
    event.emit(kind="out")
    assert captured.named("sample_event") == [{"kind": "in"}]
