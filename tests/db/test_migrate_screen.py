from __future__ import annotations

from io import StringIO

import pytest

from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.migrating.screen import Screen
from scalekit.db.sharding.migrating.steps import Step, What

PLANS = {"shard_0": (("a", "1"), ("a", "2")), "shard_10": (("a", "1"),)}


class Terminal(StringIO):
    def isatty(self):
        return True


class Shown:
    """What a terminal shows that understands the two sequences the screen writes."""

    def __init__(self, out):
        self.lines = [""]
        for part in out.split("\x1b["):
            self._take(part)

    def _take(self, part):
        if part[:1].isdigit() and "F" in part:
            count, _, part = part.partition("F")
            self.lines = [*self.lines[: len(self.lines) - 1 - int(count)], ""]
        part = part.removeprefix("J")
        first, *others = part.split("\n")
        self.lines[-1] += first
        self.lines += others


def shown(out, *steps):
    screen = Screen(TeachingCommand(stdout=out, no_color=True), PLANS)
    for step in steps:
        screen.heard(step)
    return [line.rstrip() for line in Shown(out.getvalue()).lines if line]


BEGUN = [Step(alias, What.BEGUN) for alias in PLANS]
STARTED = Step("shard_0", What.STARTED, ("a", "1"))


def test_a_terminal_shows_what_runs_below_what_has_ended():
    lines = shown(
        Terminal(),
        *BEGUN,
        STARTED,
        Step("shard_0", What.APPLIED, ("a", "1"), 1.0),
        Step("shard_0", What.STARTED, ("a", "2")),
        Step("shard_10", What.ENDED, seconds=2.0),
    )
    assert lines[0] == "shard_10  0 migrations in 2.0 s"
    assert lines[1].startswith("shard_0   1/2")
    assert lines[1].endswith("a.2")
    assert lines[2].endswith("1 of 2 shards")
    assert len(lines) == 3


def test_elsewhere_there_is_a_line_for_each_shard_and_no_more():
    out = StringIO()
    assert shown(out, *BEGUN, STARTED, Step("shard_10", What.ENDED, seconds=2.0)) == [
        "shard_10  0 migrations in 2.0 s"
    ]
    assert "\x1b" not in out.getvalue()


def test_a_failure_names_the_migration_and_the_first_line_of_its_error():
    failed = Step("shard_0", What.FAILED, seconds=0.25, error="no room\nLINE 1: ...")
    lines = shown(StringIO(), *BEGUN, STARTED, failed)
    assert lines == ["shard_0   failed in a.1 after 0.2 s: no room"]


@pytest.mark.parametrize("columns", ["20", "200"])
def test_no_line_is_longer_than_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    lines = shown(Terminal(), *BEGUN, Step("shard_0", What.STARTED, ("a", "x" * 300)))
    assert max(len(line) for line in lines[:-1]) < int(columns)
