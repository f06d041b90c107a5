"""Many calls at once: one round trip for all that is stored, and one load, if there is a function for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.cache.invalidation.base import is_dirty
from scalekit.cache.stampede.batch import Wanted, load_many
from scalekit.cache.stampede.doing import LoopDoer, ThreadDoer
from scalekit.cache.stampede.steps import adrive, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from functools import partial

    from scalekit.cache.loop_reading import LoopReading
    from scalekit.cache.reading import Question, Reading
    from scalekit.cache.stampede.leading import Found
    from scalekit.cache.thread_reading import ThreadReading

    Ask = Callable[..., Question]
    Calls = Callable[..., partial[Any]]
    Many = Callable[[list[Any]], Any] | None


class _Asked:
    """The calls of one batch, each key once."""

    def __init__(self, reading: Reading, arguments: Sequence[Any], ask: Ask) -> None:
        self.reading, self.store = reading, reading.store
        self.questions = [ask(self.store, (argument,), {}) for argument in arguments]
        self.first: dict[str, tuple[Question, Any]] = {}
        for question, argument in zip(self.questions, arguments, strict=True):
            if not is_dirty(question.keys):
                self.first.setdefault(question.key, (question, argument))

    def keys(self) -> list[str]:
        """Return all keys to fetch; the server is asked from now on."""
        for question, _ in self.first.values():
            self.reading.begin(self.store, question)
        return list(
            dict.fromkeys(key for question, _ in self.first.values() for key in question.keys)
        )

    def arrange(self, keys: Sequence[str], found: Found | None) -> dict[str, Found | None]:
        """Return what was found for each question."""
        if found is None:
            return dict.fromkeys(self.first)
        table = dict(zip(keys, found, strict=True))
        return {
            key: [table[name] for name in question.keys]
            for key, (question, _) in self.first.items()
        }

    def wanted(self, found: dict[str, Found | None]) -> list[Wanted]:
        """Return what has to be loaded."""
        return [
            Wanted(self.reading.leader(self.store, question), argument, some)
            for key, (question, argument) in self.first.items()
            if (some := found[key]) is not None
            and self.reading.judge(self.store, question, some) is None
        ]


def batch(
    reading: ThreadReading, arguments: Sequence[Any], ask: Ask, calls: Calls, many: Many
) -> list[Any]:
    """Return the value of each argument."""
    asked = _Asked(reading, arguments, ask)
    store, keys = asked.store, asked.keys()
    found = asked.arrange(keys, store.fetch(keys) if keys else None)
    values: dict[str, Any] = {}
    if many is not None:
        chosen: list[Any] = []
        doer = ThreadDoer(store, reading.policy.function, lambda: many(chosen))
        values = drive(load_many(store, asked.wanted(found), chosen), doer)
        reading.announce_misses(len(values))
    result = []
    for question, argument in zip(asked.questions, arguments, strict=True):
        call, key = calls((argument,), {}), question.key
        if key in values:
            result.append(values.pop(key))
            found.pop(key)
        elif key in found:  # once: what it says is older than the first answer
            result.append(reading.decide(store, asked.first[key][0], found.pop(key), call))
        else:
            result.append(reading.get(question, call))
    return result


async def abatch(
    reading: LoopReading, arguments: Sequence[Any], ask: Ask, calls: Calls, many: Many
) -> list[Any]:
    """Do as `batch` does, on an event loop."""
    asked = _Asked(reading, arguments, ask)
    store, keys = asked.store, asked.keys()
    found = asked.arrange(keys, await store.afetch(keys) if keys else None)
    values: dict[str, Any] = {}
    if many is not None:
        chosen: list[Any] = []
        doer = LoopDoer(store, reading.policy.function, lambda: many(chosen))
        values = await adrive(load_many(store, asked.wanted(found), chosen), doer)
        reading.announce_misses(len(values))
    result = []
    for question, argument in zip(asked.questions, arguments, strict=True):
        call, key = calls((argument,), {}), question.key
        if key in values:
            result.append(values.pop(key))
            found.pop(key)
        elif key in found:  # once: what it says is older than the first answer
            result.append(await reading.decide(store, asked.first[key][0], found.pop(key), call))
        else:
            result.append(await reading.get(question, call))
    return result
