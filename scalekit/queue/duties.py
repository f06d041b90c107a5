"""What has to be done again and again, by whichever relay process is there.

    @duty("sweep_lost", every=5)
    def sweep_lost(database: str) -> None: ...

`scalekit.queue.relaying` runs them, each on its own schedule; ``manage.py run_relay`` is the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Task = Callable[[str], object]

duties: dict[str, Duty] = {}


@dataclass(frozen=True, slots=True)
class Duty:
    """One of them. An `exclusive` one is done by one process at a time, which holds its row of `Lease`."""

    name: str
    every: float  # seconds from the end of one run to the beginning of the next
    exclusive: bool
    databases: Literal["all", "first"]
    run: Task

    def places(self) -> list[str]:
        """Return the aliases of the databases that it is done for."""
        listed = list(settings.DATABASES)
        return listed if self.databases == "all" else listed[:1]


def duty(
    name: str,
    *,
    every: float,
    exclusive: bool = True,
    databases: Literal["all", "first"] = "all",
) -> Callable[[Task], Task]:
    """Declare a duty: a function that is called with the alias of a database, every so many seconds.

    One that raises is announced and called again. It must bear being run twice at once, also where it is
    `exclusive`: a process that was frozen may wake up and go on.
    """

    def declare(run: Task) -> Task:
        duties[name] = Duty(name, every, exclusive, databases, run)
        return run

    return declare
