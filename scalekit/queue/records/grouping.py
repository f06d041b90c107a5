"""Writes of many threads in one transaction."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = TypeVar("S")
A = TypeVar("A")


class Waiting(Generic[S, A]):
    """One step that a thread wants written, and what came of it."""

    __slots__ = ("answer", "error", "leads", "step", "turn")

    def __init__(self, step: S) -> None:
        self.step = step
        self.leads = False
        self.turn = Lock()  # released when there is an answer, or when it is for this one to lead
        self.turn.acquire()
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

    Each thread is woken once, by a lock of its own: on a condition all would wake up to look, and take turns
    in holding the interpreter for it.
    """

    def __init__(self, write: Callable[[Sequence[S]], Sequence[A | Exception]]) -> None:
        self._write = write
        self._lock = Lock()
        self._waiting: list[Waiting[S, A]] = []
        self._is_led = False

    def submit(self, step: S) -> A:
        """Return the answer to `step`, once it is written. Raises what writing it raised."""
        mine: Waiting[S, A] = Waiting(step)
        with self._lock:
            self._waiting.append(mine)
            if not self._is_led:
                self._is_led = mine.leads = True
        try:
            if not mine.leads:
                mine.turn.acquire()
            if mine.leads:
                self._lead(mine)
        except BaseException:  # an interrupt: who is gone must not be chosen to lead
            self._take_out(mine)
            raise
        finally:
            if mine.leads:
                self._step_down()
        return mine.outcome()

    def _lead(self, mine: Waiting[S, A]) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            self._answer(group)
        finally:
            for waiting in group:
                if waiting is not mine:
                    waiting.turn.release()

    def _take_out(self, mine: Waiting[S, A]) -> None:
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if waiting is not mine]

    def _step_down(self) -> None:
        """Let one who waits lead."""
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._is_led:
                self._waiting[0].leads = True
                self._waiting[0].turn.release()

    def _answer(self, group: list[Waiting[S, A]]) -> None:
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
