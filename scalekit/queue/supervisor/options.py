"""The arguments of `run_workers`, and what was asked for as a value."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import Any

from scalekit.queue.exceptions import QueueError
from scalekit.queue.scaling import Policy

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d+)([KMG]?)i?B?", re.IGNORECASE)


class Nonsense(QueueError):
    """The arguments contradict each other."""


@dataclass(frozen=True, slots=True)
class Options:
    """Of a supervisor. `max_memory` is bytes of one process, `health` where to answer probes."""

    policy: Policy
    queues: tuple[str, ...] = ()
    max_memory: int | None = None
    max_jobs: int | None = None
    relay: bool = True
    health: tuple[str, int] | None = None
    shared: tuple[str, ...] = ()  # Django's own, for the children too

    @property
    def size(self) -> str:
        """Processes and threads, in words."""
        policy, to = self.policy, ""
        if policy.maximum > policy.minimum:
            to = f" to {policy.maximum}"
        return f"{policy.minimum}{to} x {policy.threads} threads"


def count(value: str) -> int:
    """Read a whole number from 1."""
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value} is not a whole number from 1")
    return int(value)


def seconds(value: str) -> float:
    """Read a number of seconds above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{value} is no number of seconds above 0")
    return number


def size(value: str) -> int:
    """Read a size in bytes: ``512M``, ``1G``."""
    match = _SIZE.fullmatch(value)
    if match is None or not int(match[1]):
        raise ArgumentTypeError(f"{value} is no size; write for example 512M or 2G")
    return int(match[1]) * UNITS[match[2].upper()]


def address(value: str) -> tuple[str, int]:
    """Read ``9000`` (on all addresses), ``127.0.0.1:9000`` or ``[::1]:9000``."""
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - ports end there
        raise ArgumentTypeError(f"{value} is no port; write for example 9000 or 127.0.0.1:9000")
    return host.strip("[]"), int(port)


def read(given: dict[str, Any]) -> Options:
    """Return the options of a supervisor from the parsed arguments. Raises `Nonsense`."""
    minimum = given["min"] or 1
    maximum = given["max"] or minimum
    if minimum > maximum:
        raise Nonsense(f"--min {minimum} is above --max {maximum}.")
    return Options(
        policy=Policy(
            minimum, maximum, given["threads"], given["target_latency"], given["cooldown"]
        ),
        queues=tuple(given["queues"] or ()),
        max_memory=given["max_memory"],
        max_jobs=given["max_jobs"],
        relay=given["relay"],
        health=given["health_port"],
        shared=_shared(given),
    )


def _shared(given: dict[str, Any]) -> tuple[str, ...]:
    words = [f"--verbosity={given['verbosity']}"]
    words += [f"--pythonpath={given['pythonpath']}"] if given.get("pythonpath") else []
    words += [f"--settings={given['settings']}"] if given.get("settings") else []
    words += ["--traceback"] if given.get("traceback") else []
    words += ["--no-color"] if given.get("no_color") else []
    return tuple(words)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "--threads": {
        "type": count,
        "default": 8,
        "metavar": "N",
        "help": "Jobs run at the same time in one process (default: 8).",
    },
    "--queues": {
        "nargs": "+",
        "metavar": "QUEUE",
        "help": "Run only these queues (default: all).",
    },
    "--min": {
        "type": count,
        "metavar": "N",
        "help": "Worker processes at the least (default: 1).",
    },
    "--max": {
        "type": count,
        "metavar": "N",
        "help": "Worker processes at the most (default: as --min, so nothing is scaled).",
    },
    "--target-latency": {
        "type": seconds,
        "default": 5.0,
        "metavar": "SECONDS",
        "help": "Start more processes while the oldest job waits longer than this (default: 5).",
    },
    "--cooldown": {
        "type": seconds,
        "default": 60.0,
        "metavar": "SECONDS",
        "help": "Stop processes that were not needed for so long (default: 60).",
    },
    "--max-memory": {
        "type": size,
        "metavar": "SIZE",
        "help": "Replace a process that uses more memory than this, for example 512M.",
    },
    "--max-jobs": {
        "type": count,
        "metavar": "N",
        "help": "Replace a process that has run so many jobs.",
    },
    "--health-port": {
        "type": address,
        "metavar": "[ADDRESS:]PORT",
        "help": "Answer /livez, /readyz, /scale and /metrics there.",
    },
    "--no-relay": {
        "dest": "relay",
        "action": "store_false",
        "help": "Start no relay: a run_relay of its own runs somewhere.",
    },
    "--single": {
        "action": "store_true",
        "help": "Be one worker process, with no supervisor and no relay: where the platform replaces and "
        "scales processes itself.",
    },
}
