"""Which server a read goes to, decided from plain values: `why_primary` says whether, `choose` where."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalekit.db.topology import Primary, Replica

Balance = Callable[[Primary, Sequence[Replica]], Replica]


def why_primary(
    *, role: str, in_unit: bool, in_transaction: bool, pinned: bool, unsafe: bool = False
) -> str:
    """Return the reason for which a read must go to the primary; empty if a replica may answer.

    `role` is that of an enclosing ``using_primary()`` or ``using_replica()`` block. The latter accepts
    stale answers, so it wins over a pin, but not over a transaction, whose rows no replica has. `unsafe`
    is a request whose method announces a write: what it validates must be the truth of this moment.
    """
    if in_transaction:
        return "in transaction"
    if role:
        return "using_primary" if role == "primary" else ""
    if not in_unit:
        return "outside requests"
    if pinned:
        return "pinned"
    return "unsafe method" if unsafe else ""


def choose(
    primary: Primary,
    usable: Sequence[Replica],
    kept: str | None,
    balance: Balance,
    caught_up: Sequence[Replica] | None = None,
) -> tuple[str, str]:
    """Return the alias to read from and the reason.

    `usable` are the replicas in rotation; `caught_up` those of them that show what this visitor must see,
    None where the visitor demands nothing. `kept` is the server this unit of work has read from before:
    time must not go backwards within a request.
    """
    if not usable:
        return primary.alias, "no replica in rotation"
    if kept == primary.alias or any(replica.alias == kept for replica in usable):
        return kept or primary.alias, "kept"
    if caught_up is None:
        return balance(primary, usable).alias, "balanced"
    if not caught_up:
        return primary.alias, "pinned"
    return balance(primary, caught_up).alias, "caught up"


def nearest(replicas: Sequence[Replica], zone: str) -> Sequence[Replica]:
    """Return the replicas of `zone`, or all if it has none."""
    local = [replica for replica in replicas if replica.zone == zone] if zone else ()
    return local or replicas
