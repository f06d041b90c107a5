"""Writes of many threads in one transaction."""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = TypeVar("S")
A = TypeVar("A")


class Waiting(Generic[S, A]):
    """One step that a thread wants written, and what came of it."""

    __slots__ = ("answer", "error", "over", "step")

    def __init__(self, step: S) -> None:
        self.step = step
        self.over = False
        self.answer: A
        self.error: BaseException | None = None

    def take(self, answer: A | Exception) -> None:
        if isinstance(answer, Exception):
            self.error = answer
        else:
            self.answer = answer

    def outcome(self) -> A:
        if self.error is not None:
            raise self.error
        return self.answer


class GroupCommit(Generic[S, A]):
    """Let the first thread that comes write for all who wait, as databases do with their log.

    There is no timer: who comes while nobody writes, writes at once and alone; who comes while somebody
    writes is in the next group, which one of them writes. The busier, the larger the groups
    (https://www.postgresql.org/docs/current/runtime-config-wal.html, commit_delay, has the idea).

    `write` gets the steps of a group and returns their answers in the same order. An answer that is an
    exception is raised for the one whose it is; what `write` itself raises is raised for all.
    """

    def __init__(self, write: Callable[[Sequence[S]], Sequence[A | Exception]]) -> None:
        self._write = write
        self._changed = Condition()
        self._waiting: list[Waiting[S, A]] = []
        self._is_led = False

    def submit(self, step: S) -> A:
        """Return the answer to `step`, once it is written. Raises what writing it raised."""
        mine: Waiting[S, A] = Waiting(step)
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: mine.over or not self._is_led)
            if mine.over:
                return mine.outcome()
            self._is_led = True
            group, self._waiting = self._waiting, []
        try:
            self._lead(group)
        finally:
            self._step_down(group)
        return mine.outcome()

    def _step_down(self, group: list[Waiting[S, A]]) -> None:
        with self._changed:
            for waiting in group:
                waiting.over = True
            self._is_led = False
            self._changed.notify_all()

    def _lead(self, group: list[Waiting[S, A]]) -> None:
        try:
            answers = self._write([waiting.step for waiting in group])
        except Exception as error:  # noqa: BLE001 - each who waits learns what it was
            answers = [error] * len(group)
        except BaseException:  # an interrupt of the leader's own job: the others are not written
            for waiting in group:
                waiting.error = GroupInterrupted(
                    "The thread that wrote for this one was interrupted."
                )
            raise
        for waiting, answer in zip(group, answers, strict=True):
            waiting.take(answer)


class GroupInterrupted(Exception):
    """Nothing is known of what was to be written: write it again."""
