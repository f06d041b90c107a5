"""Which server a read goes to, decided from plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from scalekit.db.topology import Primary, Replica

Balance = Callable[[Sequence[Replica]], Replica]


class Circumstances(NamedTuple):
    """What a read depends on, besides the servers."""

    in_unit: bool = True  # inside a request or message
    role: str = ""  # "primary" or "replica" where a `using_...` block says so
    in_transaction: bool = False  # on the primary's connection
    pinned: bool = False  # this visitor or unit of work has just written
    kept: str | None = None  # the replica this unit of work reads from


def choose(
    primary: Primary, usable: Sequence[Replica], now: Circumstances, balance: Balance
) -> tuple[str, str]:
    """Return the alias to read from and the reason; `usable` are the replicas in rotation."""
    reason = _why_primary(primary, now)
    if reason:
        return primary.alias, reason
    if not usable:
        return primary.alias, "no replica in rotation"
    for replica in usable:
        if replica.alias == now.kept:
            return replica.alias, "kept"
    return balance(usable).alias, "balanced"


def _why_primary(primary: Primary, now: Circumstances) -> str:
    if not primary.replicas:
        return "no replicas"
    if now.in_transaction:
        return "in transaction"
    if now.role:
        return "using_primary" if now.role == "primary" else ""
    if not now.in_unit:
        return "outside requests"
    return "pinned" if now.pinned else ""


def nearest(replicas: Sequence[Replica], zone: str) -> Sequence[Replica]:
    """Return the replicas of `zone`, or all if it has none."""
    local = [replica for replica in replicas if replica.zone == zone] if zone else ()
    return local or replicas
