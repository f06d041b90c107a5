"""Show how a round over shards goes: a line for each that ends, and on a terminal those that run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from scalekit.db.sharding.migrating.steps import What

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalekit.core.teaching import TeachingCommand
    from scalekit.db.sharding.migrating.steps import Name, Step

UP = "\x1b[{}F\x1b[J"  # to the beginning of so many lines above, and clear from there on


@dataclass(frozen=True, slots=True)
class Running:
    """A shard that is being migrated."""

    began: float = field(default_factory=monotonic)
    current: str = "begins"
    done: int = 0


class Screen:
    """Lines on the command's output; on a terminal, below them, a live table of what runs."""

    def __init__(self, command: TeachingCommand, plans: Mapping[str, tuple[Name, ...]]) -> None:
        self._command, self._out = command, command.stdout
        self._plans = plans
        self._width = max(map(len, plans), default=0)
        self._running: dict[str, Running] = {}
        self._ended = 0
        self._drawn = 0  # lines of the live table

    def heard(self, step: Step) -> None:
        """Take a step in, and show it."""
        running = self._running.get(step.alias, Running())
        match step.what:
            case What.BEGUN:
                self._running[step.alias] = running
            case What.STARTED:
                name = ".".join(step.migration or ())
                self._running[step.alias] = replace(running, current=name)
            case What.APPLIED | What.UNAPPLIED:
                self._running[step.alias] = replace(running, done=running.done + 1)
            case What.ENDED | What.FAILED:
                del self._running[step.alias]
                self._ended += 1
                self._write(self._last_line(step, running))
            case What.INTERRUPTED if self._running:
                names = ", ".join(self._running)
                self._write(
                    f"Waiting for {names} to end, beginning no other. Ctrl-C again leaves at once."
                )
        self.tick()

    def tick(self) -> None:
        """Draw the live table anew."""
        if self._out.isatty():
            self._clear()
            lines = self._table()
            self._out.write("".join(f"{line}\n" for line in lines), ending="")
            self._out.flush()
            self._drawn = len(lines)

    def close(self) -> None:
        """Take the live table away."""
        self._clear()

    def _last_line(self, step: Step, running: Running) -> str:
        alias = step.alias.ljust(self._width)
        if step.what is What.FAILED:
            where = "" if running.current == "begins" else f" in {running.current}"
            return self._command.style.ERROR(
                f"{alias}  failed{where} after {step.seconds:.1f} s: {_first_line(step.error)}"
            )
        return f"{alias}  {counted(running.done)} in {step.seconds:.1f} s"

    def _table(self) -> list[str]:
        columns, now = shutil.get_terminal_size().columns, monotonic()
        lines = [
            f"{alias.ljust(self._width)}  {r.done}/{len(self._plans.get(alias, ()))}"
            f"  {now - r.began:4.0f} s  {r.current}"[: columns - 1]
            for alias, r in self._running.items()
        ]
        total = len(self._plans)
        bar = self._command.bar(self._ended / max(1, total))
        return [*lines, f"{bar} {self._ended} of {total} shards"] if lines else []

    def _write(self, line: str) -> None:
        self._clear()
        self._out.write(line)
        self._out.flush()

    def _clear(self) -> None:
        if self._drawn:
            self._out.write(UP.format(self._drawn), ending="")
            self._drawn = 0


def counted(number: int) -> str:
    return f"{number} migration{'' if number == 1 else 's'}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
