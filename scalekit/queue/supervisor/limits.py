"""Workers that have grown too large, or old: they are replaced before they go, and finish what they have begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.queue.events import WORKER_OUTGROWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.supervisor.child import Child
    from scalekit.queue.supervisor.options import Options
    from scalekit.queue.supervisor.pool import Pool

MEGABYTE = 1 << 20


def outdate_what_outgrew(pool: Pool, options: Options, say: Callable[[str], object]) -> None:
    """Have each worker replaced that is above a limit."""
    for child in pool.ready:
        limit, what = (None, "") if child.outdated else _outgrown(child, options)
        if limit is not None:
            say(f"The worker {child.pid} {what}; it is replaced, and ends when its jobs have.")
            WORKER_OUTGROWN.emit(limit=limit, pid=child.pid)
            pool.outdate([child])


def _outgrown(child: Child, options: Options) -> tuple[str | None, str]:
    if options.max_jobs and child.report.done >= options.max_jobs:
        return "jobs", f"has run {child.report.done} jobs"
    memory = child.memory if options.max_memory else None
    if memory is not None and options.max_memory and memory > options.max_memory:
        return "memory", f"uses {memory // MEGABYTE} MB of {options.max_memory // MEGABYTE}"
    return None, ""
