from __future__ import annotations

import logging

import pytest

from scalekit.core.context import arrived_with, portable_facts, unit_of_work
from scalekit.core.events import Event, events
from scalekit.observability.facts import REQUEST_ID


@pytest.fixture
def job_finished():
    event = Event(
        "sample_job_finished",
        "Stands in for an event of a rung that is loaded later.",
        labels=("task",),
        seconds="duration",
        level=logging.WARNING,
    )
    yield event
    del events["sample_job_finished"]


@pytest.fixture
def frequent():
    yield Event("sample_frequent", "Too frequent for a line.")
    del events["sample_frequent"]


def test_event_with_a_level_is_one_line(job_finished, lines):
    job_finished.emit(task="thumbnail", queue="default", outcome="succeeded", duration=0.2)
    [line] = lines.of("scalekit.events")
    assert line.pop("ts")
    assert line == {
        "level": "WARNING",
        "logger": "scalekit.events",
        "event": "sample_job_finished",
        "task": "thumbnail",
        "queue": "default",
        "outcome": "succeeded",
        "duration": 0.2,
    }


def test_event_without_a_level_is_none(frequent, lines):
    frequent.emit(alias="default")
    assert lines.raw == []


def test_line_of_a_job_carries_the_id_of_the_request_that_sent_it(job_finished, lines):
    with unit_of_work():
        REQUEST_ID.set("abc")
        carried = portable_facts()
    with arrived_with(carried):
        job_finished.emit(task="thumbnail")
    assert [line["request_id"] for line in lines.of("scalekit.events")] == ["abc"]


@pytest.mark.parametrize("forged", ["a b", "x" * 129, 7, None, "a\n{}"])
def test_job_believes_no_hostile_id(forged):
    with arrived_with({"request_id": forged}):
        assert REQUEST_ID.get() == ""


def test_payload_that_logging_would_refuse_is_kept(job_finished, lines):
    job_finished.emit(name="x", message="y", args=(1,), event="forged")
    [line] = lines.of("scalekit.events")
    assert (line["name_"], line["message_"], line["args_"]) == ("x", "y", [1])
    assert line["event"] == "sample_job_finished"


def test_secrets_in_a_payload_are_left_out(job_finished, lines):
    job_finished.emit(error="redis://:CANARY@cache/0 is down", token="CANARY")
    assert "CANARY" not in lines.raw[0]
