"""Which server a read goes to, decided from plain values: `why_primary` says whether, `choose` where."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalekit.db.topology import Primary, Replica

Balance = Callable[[Primary, Sequence[Replica]], Replica]


def why_primary(*, role: str, in_unit: bool, in_transaction: bool, pinned: bool) -> str:
    """Return the reason for which a read must go to the primary; empty if a replica may answer.

    `role` is that of an enclosing ``using_primary()`` or ``using_replica()`` block. The latter accepts
    stale answers, so it wins over a pin, but not over a transaction, whose rows no replica has.
    """
    if in_transaction:
        return "in transaction"
    if role:
        return "using_primary" if role == "primary" else ""
    if not in_unit:
        return "outside requests"
    return "pinned" if pinned else ""


def choose(
    primary: Primary, usable: Sequence[Replica], kept: str | None, balance: Balance
) -> tuple[str, str]:
    """Return the alias to read from and the reason.

    `usable` are the replicas in rotation, `kept` the one this unit of work has read from before: time
    must not go backwards within a request.
    """
    if not usable:
        return primary.alias, "no replica in rotation"
    if kept is not None:
        for replica in usable:
            if replica.alias == kept:
                return kept, "kept"
    return balance(primary, usable).alias, "balanced"


def nearest(replicas: Sequence[Replica], zone: str) -> Sequence[Replica]:
    """Return the replicas of `zone`, or all if it has none."""
    local = [replica for replica in replicas if replica.zone == zone] if zone else ()
    return local or replicas
