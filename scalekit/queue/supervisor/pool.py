"""The worker processes: how many there are, and which of them. Only ended or drained ones leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scalekit.queue.supervisor.restarts import Restarts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scalekit.queue.supervisor.child import Child


class Pool:
    """Keeps `wanted` processes of one kind running.

    One that is outdated is replaced before it goes: the new one is started, and when it is ready the old one
    retires, one at a time. So a release that does not start costs no worker. `lost` is told of each that
    ended though nobody had told it to.
    """

    def __init__(
        self, start: Callable[[], Child], wanted: int, lost: Callable[[Child, Restarts], object]
    ) -> None:
        self._start, self.wanted, self._lost = start, wanted, lost
        self.children: list[Child] = []
        self.restarts = Restarts()
        self.stopping = False

    @property
    def staying(self) -> list[Child]:
        """Those that nobody has told to go, oldest first."""
        return [child for child in self.children if not child.leaving]

    @property
    def ready(self) -> list[Child]:
        """Those that take jobs."""
        return [child for child in self.staying if child.ready]

    @property
    def starting(self) -> int:
        """How many are on their way."""
        return len(self.staying) - len(self.ready)

    def tend(self) -> list[Child]:
        """Take note of who has ended, start who is missing, and let go who is too many; return who ended."""
        ended = self._bury()
        if not self.stopping:
            self._fill()
            self._thin_out()
        return ended

    def _bury(self) -> list[Child]:
        ended = [child for child in self.children if child.exit_code is not None]
        for child in ended:
            child.read()  # its last words
            self.children.remove(child)
            child.close()
            if not child.leaving and not self.stopping:
                self.restarts = self.restarts.after_death(child.lived, time.monotonic())
                self._lost(child, self.restarts)
        return ended

    def _fill(self) -> None:
        outdated = any(child.outdated for child in self.staying)
        room = self.wanted + 1 if outdated else self.wanted
        while len(self.staying) < room and self.restarts.allow(time.monotonic()):
            self.children.append(self._start())

    def _thin_out(self) -> None:
        while len(self.staying) > self.wanted:
            leaver = self._who_leaves()
            if leaver is None:
                return
            leaver.retire() if leaver.ready else leaver.terminate()

    def _who_leaves(self) -> Child | None:
        """Choose an outdated one once its replacement is ready, else the one that has least to finish."""
        outdated = [child for child in self.staying if child.outdated]
        if outdated:
            return None if self.starting else outdated[0]
        return min(self.staying, key=lambda child: (child.ready, child.report.running))

    def outdate(self, children: Iterable[Child]) -> None:
        """Have `children` replaced, one at a time."""
        for child in children:
            child.outdated = True

    def stop(self) -> None:
        """Let all finish within the drain time, and start no other."""
        self.stopping = True
        for child in self.children:
            child.terminate()

    def kill(self) -> None:
        """End all at once."""
        self.stopping = True
        for child in self.children:
            child.kill()
