"""Say what became of a round over shards, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.events import SHARD_MIGRATED, SHARD_MIGRATION_FAILED
from scalekit.db.exceptions import ShardFailed
from scalekit.db.sharding.migrating.running import INTERRUPTED
from scalekit.db.sharding.migrating.steps import What, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scalekit.db.sharding.migrating.running import Outcome
    from scalekit.db.sharding.migrating.steps import Name, Step
    from scalekit.db.sharding.parallel import Outcome as ShardOutcome

    Plan = tuple[Name, ...]


def report(outcome: Outcome) -> str:
    """Return what is to be said of a round that did not end well."""
    lines = [f"{alias} failed: {error}" for alias, error in outcome.failed.items()]
    if not lines:
        lines.append(f"Stopped: {outcome.stopped}.")
    lines.append(f"Migrated: {_names(outcome.done)}. Not begun: {_names(outcome.left)}.")
    first = "Run" if outcome.stopped == INTERRUPTED else "Mend it and run"
    lines.append(f"{first} the command again; shards that are done are left as they are.")
    return "\n".join(lines)


def unreachable(faults: Iterable[ShardOutcome[Plan]]) -> str:
    """Return what is to be said when shards cannot be migrated, before anything was begun."""
    return "\n".join([*map(_fault, faults), "Nothing was begun, on any shard."])


def describe(found: ShardOutcome[Plan], failed: Mapping[tuple[str, Name], str]) -> str:
    """Return one line on what a shard lacks, and what became of it when it was last tried."""
    if found.error is not None:
        return _fault(found)
    names = found.value or ()
    tried = [failed[found.alias, name] for name in names if (found.alias, name) in failed]
    why = f" (failed before: {tried[0]})" if tried else ""
    return f"{found.alias}: {', '.join(map('.'.join, names)) or 'nothing to do'}{why}"


def announce(step: Step) -> None:
    """Let observers know how a shard's round ended."""
    if step.what is What.ENDED:
        SHARD_MIGRATED.emit(alias=step.alias, seconds=step.seconds)
    elif step.what is What.FAILED:
        SHARD_MIGRATION_FAILED.emit(alias=step.alias, error=step.error)


def _fault(found: ShardOutcome[Plan]) -> str:
    error = found.error
    said = "" if error is None else text_of(error)
    return said if isinstance(error, ShardFailed) else f"{found.alias}: {said}"


def _names(aliases: list[str]) -> str:
    return ", ".join(aliases) or "none"
