from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalekit.queue.cron.schedules import NAMES, Schedule
from scalekit.queue.exceptions import CronInvalid

BERLIN = (
    "Europe/Berlin"  # 2026: forward on 29 March, 02:00 to 03:00, back on 25 October, 03:00 to 02:00
)


def times(text, start, count, zone="UTC"):
    """The next times after `start`, both as the clock on the wall shows them."""
    wall = ZoneInfo(zone)
    after = datetime.fromisoformat(start).replace(tzinfo=wall)
    found = islice(Schedule.read(text, wall).after(after), count)
    return [f"{due_at.astimezone(wall):%m-%d %H:%M %z}" for due_at in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["01-01 00:01 +0000", "01-01 00:02 +0000"]),
        ("*/20 * * * *", ["01-01 00:20 +0000", "01-01 00:40 +0000"]),
        ("5,50 8-9 * * *", ["01-01 08:05 +0000", "01-01 08:50 +0000"]),
        ("0 3 * * *", ["01-01 03:00 +0000", "01-02 03:00 +0000"]),
        ("0 9 * * MON-FRI", ["01-01 09:00 +0000", "01-02 09:00 +0000"]),
        ("0 0 1 jan,jul *", ["07-01 00:00 +0000", "01-01 00:00 +0000"]),
        ("0 0 L * *", ["01-31 00:00 +0000", "02-28 00:00 +0000"]),
        ("0 0 * * 7", ["01-04 00:00 +0000", "01-11 00:00 +0000"]),
        ("0 0 * * FRI#2", ["01-09 00:00 +0000", "02-13 00:00 +0000"]),
        ("0 0 13 * FRI", ["01-02 00:00 +0000", "01-09 00:00 +0000"]),  # either, as in any cron
        ("  @Hourly ", ["01-01 01:00 +0000", "01-01 02:00 +0000"]),
        ("@weekly", ["01-04 00:00 +0000", "01-11 00:00 +0000"]),
    ],
)
def test_an_expression_says_when(text, expected):
    assert times(text, "2026-01-01 00:00", 2) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_an_expression(name):
    assert times(name, "2026-01-01 00:00", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no cron expression"),
        ("0 3 * *", "is no cron expression"),
        ("0 0 3 * * *", "is no cron expression"),  # seconds
        ("60 * * * *", "Bad minute"),
        ("0 24 * * *", "Bad hour"),
        ("0 0 0 * *", "Bad day-of-month"),
        ("0 0 * 13 *", "Bad month"),
        ("0 0 * * FUNDAY", "Bad day-of-week"),
        ("*/0 * * * *", "Bad minute"),
        ("5-1 * * * *", "Bad minute"),
        ("@reboot", "is no cron expression"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("0 0 */31 2 SUN#5", "never comes"),
        ("0 0 * * " + "1," * 200 + "1", "is no cron expression"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(text, why):
    with pytest.raises(CronInvalid, match=why) as refusal:
        Schedule.read(text, ZoneInfo("UTC"))
    assert '"0 3 * * *"' in str(refusal.value)


def test_a_fixed_time_that_the_clock_jumps_over_is_due_once_right_after():
    expected = ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]
    assert times("30 2 * * *", "2026-03-28 00:00", 3, BERLIN) == expected


def test_several_times_that_the_clock_jumps_over_are_due_once():
    expected = ["03-29 03:00 +0200", "03-30 02:00 +0200"]
    assert times("0,15,30 2 * * *", "2026-03-29 00:00", 2, BERLIN) == expected


def test_a_fixed_time_that_comes_twice_is_due_the_first_time():
    expected = ["10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"]
    assert times("30 2 * * *", "2026-10-24 00:00", 3, BERLIN) == expected


@pytest.mark.parametrize("text", ["@hourly", "0 0-23 * * *", "0 */1 * * *"])
def test_an_hourly_entry_is_due_in_every_hour_that_passes(text):
    spring = ["03-29 01:00 +0100", "03-29 03:00 +0200", "03-29 04:00 +0200"]
    assert times(text, "2026-03-29 00:00", 3, BERLIN) == spring
    autumn = ["10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100"]
    assert times(text, "2026-10-25 01:00", 3, BERLIN) == autumn


def test_every_quarter_of_an_hour_is_one_also_when_the_hour_comes_twice():
    wall = ZoneInfo(BERLIN)
    night = datetime(2026, 10, 25, 1, 50, tzinfo=wall)
    found = list(islice(Schedule.read("*/15 * * * *", wall).after(night), 12))
    assert {later - sooner for sooner, later in pairwise(found)} == {timedelta(minutes=15)}


def test_a_midnight_that_the_clock_jumps_over_is_made_up_for():
    # In Santiago the day of the change begins at one o'clock.
    expected = ["09-06 01:00 -0300", "09-07 00:00 -0300"]
    assert times("@daily", "2026-09-05 12:00", 2, "America/Santiago") == expected


def test_a_clock_that_is_put_forward_by_half_an_hour():
    expected = ["10-04 02:30 +1100", "10-05 02:15 +1100"]
    assert times("15 2 * * *", "2026-10-03 12:00", 2, "Australia/Lord_Howe") == expected


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "until", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00", "2026-01-01 05:00:30", "2026-01-01 05:00"),
        ("0 3 * * *", "2026-01-01 03:00", "2026-01-02 02:59:59", None),  # `after` itself was due
        ("0 3 * * *", "2026-01-01 02:59", "2026-01-01 03:00", "2026-01-01 03:00"),
        ("0 3 * * *", "2025-01-01 00:00", "2026-01-02 02:00", "2026-01-01 03:00"),
        ("0 0 29 2 *", "2020-01-01 00:00", "2026-01-01 00:00", "2024-02-29 00:00"),
        ("0 3 * * *", "2026-01-02 00:00", "2026-01-01 00:00", None),  # a clock that was put back
    ],
)
def test_the_latest_time_is_found_however_long_ago(text, after, until, expected):
    found = Schedule.read(text, ZoneInfo("UTC")).latest(at(after), at(until))
    assert found == (expected and at(expected))


@given(
    seconds=st.integers(0, 2 * 86_400),
    text=st.sampled_from(["30 2 * * *", "@hourly", "*/20 1-3 * * *", "0,59 2,3 * * *", "@daily"]),
)
def test_wherever_one_begins_to_look_the_times_are_the_same(seconds, text):
    schedule = Schedule.read(text, ZoneInfo(BERLIN))
    begin = at("2026-10-23 00:00")
    moment = at("2026-10-24 00:00") + timedelta(seconds=seconds)
    known = [t for t in islice(schedule.after(begin), 150) if t > moment][:3]
    assert list(islice(schedule.after(moment), 3)) == known


@given(days=st.floats(0, 364))
def test_a_fixed_entry_is_due_once_on_every_day_of_the_year(days):
    wall = ZoneInfo(BERLIN)
    start = at("2026-01-01 00:00") + timedelta(days=days)
    due_at, following = islice(Schedule.read("30 2 * * *", wall).after(start), 2)
    assert following.astimezone(wall).date() - due_at.astimezone(wall).date() == timedelta(days=1)


@given(st.lists(st.text("*/,-#L0159ANMO@ ", max_size=5), min_size=4, max_size=6))
def test_whatever_is_written_is_read_or_refused(fields):
    try:
        schedule = Schedule.read(" ".join(fields), ZoneInfo(BERLIN))
    except CronInvalid:
        return
    assert next(schedule.after(at("2026-01-01 00:00")))
