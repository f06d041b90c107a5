"""Load many values by one call: all leases in one round trip, all fills in another."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, NamedTuple

from scalekit.cache.guarding import FAILED
from scalekit.cache.invalidation.base import sees_commits
from scalekit.cache.stampede import states
from scalekit.cache.stampede.renewing import renewals
from scalekit.cache.stampede.requests import Batch, Granted, Stamp
from scalekit.cache.stampede.steps import Ask, Load, Loaded

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from scalekit.cache.stampede.leading import Found, Leader
    from scalekit.cache.stampede.requests import Fill, Swap
    from scalekit.cache.stampede.steps import Step
    from scalekit.cache.store import Store


class Wanted(NamedTuple):
    """One value to load: who knows how it is kept, the argument it is loaded by, and what was found."""

    leader: Leader
    argument: Any
    found: Found


class Lease(NamedTuple):
    """A lease that was granted: what it is for, under which stamps, and what its load must see."""

    wanted: Wanted
    token: bytes
    stamps: bytes
    facts: states.Facts


def load_many(
    store: Store, wanted: Sequence[Wanted], chosen: list[Any]
) -> Generator[Step, Any, dict[str, Any]]:
    """Return the values by key, of those that nobody else loads; raise the error of their load.

    The arguments to load are put into `chosen` before the step that loads them.
    """
    leases = yield from _acquire((yield from _stamped(wanted)))
    if not leases:
        return {}
    held = [(lease.wanted.leader.key, lease.token) for lease in leases]
    for one in held:
        renewals.add(store, one)
    is_current = sees_commits()
    swaps: list[Swap | Fill] = [
        lease.wanted.leader.resignation(lease.token, lease.facts) for lease in leases
    ]
    try:
        chosen.extend(lease.wanted.argument for lease in leases)
        facts = tuple(fact for lease in leases for fact in _demanded(lease))
        loaded: Loaded = yield Load(facts, frozenset(lease.token for lease in leases))
        if loaded.error is not None:
            raise loaded.error
        values = _by_key(leases, loaded.value)
        if is_current:
            swaps = [_swap(lease, loaded.seconds, values) for lease in leases]
    finally:
        for one in held:
            renewals.remove(store, one)
        yield Ask("write", Batch(tuple(swaps)))
    return values


def _stamped(wanted: Sequence[Wanted]) -> Generator[Step, Any, list[Wanted]]:
    """Return those whose stamps are known, made where they were missing, and that nobody holds."""
    lacking = [one for one in wanted if states.joined(one.found[1:]) is None]
    if lacking:
        requests = tuple(Stamp(one.leader.names, one.leader.stamp_ms()) for one in lacking)
        made = yield Ask("stamp", Batch(requests))
        if made is FAILED:
            return []
        stamped = {
            one.leader.key: one._replace(found=[one.found[0], *stamps])
            for one, stamps in zip(lacking, made, strict=True)
        }
        wanted = [stamped.get(one.leader.key, one) for one in wanted]
    return [one for one in wanted if not any(map(states.is_held, one.found))]


def _acquire(wanted: Sequence[Wanted]) -> Generator[Step, Any, list[Lease]]:
    """Return the leases that were granted; what others load already is left to them."""
    tried = [
        (one, token_bytes(8), stamps)
        for one in wanted
        if (stamps := states.joined(one.found[1:])) is not None
        and not states.is_worth_waiting(one.found[0], stamps)
    ]
    requests = tuple(
        one.leader.acquisition(token, stamps, one.found[0]) for one, token, stamps in tried
    )
    answers = (yield Ask("lease", Batch(requests))) if requests else []
    if answers is FAILED:
        return []
    return [
        Lease(one, token, stamps, answer.facts)
        for (one, token, stamps), answer in zip(tried, answers, strict=True)
        if isinstance(answer, Granted)
    ]


def _by_key(leases: Sequence[Lease], value: Any) -> dict[str, Any]:
    """Return the loaded values by key: `value` is a mapping by argument, or a sequence in their order."""
    if isinstance(value, Mapping):
        return {
            lease.wanted.leader.key: value[lease.wanted.argument]
            for lease in leases
            if lease.wanted.argument in value
        }
    keys = [lease.wanted.leader.key for lease in leases]
    return dict(zip(keys, value, strict=True))


def _swap(lease: Lease, seconds: float, values: Mapping[str, Any]) -> Swap | Fill:
    """Return how to store the value of a lease, or to give it up if there is none."""
    leader = lease.wanted.leader
    if leader.key not in values:
        return leader.resignation(lease.token, lease.facts)
    loaded = Loaded(values[leader.key], None, seconds)
    packed, ms, landing = leader.packed(loaded, lease.stamps, lease.facts)
    if landing.error is not None:
        raise landing.error
    if packed is None:
        return leader.resignation(lease.token, lease.facts)
    return leader.filling(states.LEASE + lease.token, packed, ms)


def _demanded(lease: Lease) -> states.Facts:
    """Return what the load must see: by the invalidation of the entry, and by those of its tags."""
    stamps = lease.wanted.found[1:]
    return lease.facts + tuple(facts for stamp in stamps for facts in states.facts_in(stamp))
