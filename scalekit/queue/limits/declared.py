"""What a task declares about its limits, as values."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from scalekit.queue.exceptions import LimitInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

OPTIONS = ("rate_limit", "concurrency", "limit_by", "limit_name")

_RATE = re.compile(
    r"(?P<count>\d{1,9}) ?/ ?(?P<every>\d{0,6}) ?(?P<unit>[smhd])( burst (?P<burst>\d{1,6}))?"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_NAME = 200  # characters; the column has 255, and waiting lines have a name derived from it


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` jobs in `seconds`, evenly spaced, but up to `burst` at once where there were none before.

    So in no span of `seconds` there are more than `count` + `burst` - 1, and one at each of its ends.
    """

    count: int
    seconds: int
    burst: int = 1

    @classmethod
    def read(cls, text: Any) -> Self:
        """Read ``"10/s"``, ``"100/15m"``, ``"1000/h burst 50"``. Raises `LimitInvalid`."""
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise LimitInvalid(
                f'rate_limit = {text!r}: expected a number and a time, "10/s" or "1000/h burst 50".'
            )
        every, burst = int(found["every"] or 1), int(found["burst"] or 1)
        rate = cls(int(found["count"]), every * _SECONDS[found["unit"]], burst)
        if not (rate.count and rate.seconds and rate.burst):
            raise LimitInvalid(f"rate_limit = {text!r}: no number in it may be 0.")
        return rate

    @property
    def spacing(self) -> timedelta:
        """The time from one job to the next."""
        return timedelta(seconds=self.seconds / self.count)

    @property
    def tolerance(self) -> timedelta:
        """By how much a job may come early, which is what makes a burst (GCRA's tau)."""
        return self.spacing * (self.burst - 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one job, under the `name` that it shares with the others that they count."""

    name: str
    task: str  # or actor: how long its jobs take is remembered by it
    rate: Rate | None = None
    concurrency: int | None = None


def flaws_of(task: Any) -> Iterator[str]:
    """Say what is wrong with the limits that `task` has as attributes, and with its function `func`."""
    given = {name: getattr(task, name, None) for name in OPTIONS}
    if given["rate_limit"] is not None:
        yield from _flaw_of_rate(given["rate_limit"])
    places = given["concurrency"]
    if places is not None and (
        isinstance(places, bool) or not isinstance(places, int) or places < 1
    ):
        yield f"concurrency = {places!r}: expected a whole number from 1."
    name = given["limit_name"]
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME):
        yield f"limit_name = {name!r}: expected a name of up to {_LONGEST_NAME} characters."
    if given["limit_by"] is not None:
        yield from _flaw_of_argument(given["limit_by"], task.func)
    if given["rate_limit"] is None and places is None:
        for option in ("limit_by", "limit_name"):
            if given[option] is not None:
                yield f"{option} goes with rate_limit or concurrency; add one of them."


def _flaw_of_rate(text: Any) -> Iterator[str]:
    try:
        Rate.read(text)
    except LimitInvalid as error:
        yield str(error)


def _flaw_of_argument(name: Any, func: Callable[..., Any]) -> Iterator[str]:
    names = [
        name for name, p in inspect.signature(func).parameters.items() if p.kind not in _VARIABLE
    ]
    if name not in names:
        yield f"limit_by = {name!r}: expected the name of an argument, of {', '.join(names)}."


_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def limits_of(
    options: Mapping[str, Any],
    name: str,
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Limits | None:
    """Return the limits of a job of `name` that calls `func` with these arguments; None if it has none."""
    rate, places = options.get("rate_limit"), options.get("concurrency")
    if rate is None and places is None:
        return None
    shared = options.get("limit_name") or name
    if options.get("limit_by") is not None:
        shared = f"{shared}[{_argument(options['limit_by'], func, args, kwargs)}]"
    return Limits(_short(shared), name, _rate(rate) if rate is not None else None, places)


_rate = lru_cache(maxsize=1000)(Rate.read)
_signature = lru_cache(maxsize=1000)(inspect.signature)


def _argument(
    name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    try:
        bound = _signature(func).bind(*args, **kwargs)
    except TypeError:
        return ""  # the call will say what is wrong with the arguments
    bound.apply_defaults()
    return json.dumps(bound.arguments[name], sort_keys=True, default=str)


def _short(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:100]}...{hashlib.sha256(name.encode()).hexdigest()}"
