"""Key -> shard: what it costs by each scheme, how evenly keys lie, and how many move when a shard is added.

In processor time, the best of many rounds in turns, beside bare ``hash(key) % n``, which differs between processes
for text, and uhashring, if that is installed. Balance and movement are exact counts, the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import cycle
from time import thread_time_ns

from django.conf import settings

SHARDS, KEYS, CALLS = 16, 400_000, 2000
MANY = 100_000  # keys that are looked up in turn, more than anything remembers
SLOWEST = 8000  # ns a key that no scheme may exceed


def of(number):
    return [f"shard_{i}" for i in range(number)]


def schemes(number, keys=KEYS):
    from scalekit.db.sharding.directory import Directory
    from scalekit.db.sharding.jump import Jump
    from scalekit.db.sharding.modulo import Modulo
    from scalekit.db.sharding.ranges import Ranges
    from scalekit.db.sharding.ring import Ring
    from scalekit.db.sharding.slots import Slots

    shards = of(number)
    boundaries = [keys * i // SHARDS for i in range(1, SHARDS)]
    if number > SHARDS:  # the last range is cut in two
        boundaries.append(keys - keys // SHARDS // 2)
    directory = Directory("d", shards=shards, new_keys="least_filled")
    directory.stored_keys = RoundRobin(shards)
    return {
        "slots": Slots("s", shards=shards),
        "modulo": Modulo("m", shards=shards),
        "ring": Ring("r", shards=shards),
        "jump": Jump("j", shards=shards),
        "ranges": Ranges("g", shards=shards, boundaries=boundaries),
        "directory": directory,
    }


class RoundRobin:
    """A key store in memory: what a directory costs once a process knows the key."""

    def __init__(self, shards):
        self.shards = cycle(shards)

    def shard_of(self, _text):
        return None

    def place(self, _text):
        return next(self.shards)


def rebalanced(scheme, shards):
    """Return the scheme with a stored map in which each shard gave its share of slots to the last."""
    from scalekit.db.sharding.mapping.slot_map import SlotMap

    wanted = scheme.slots // len(shards)
    slots, given = list(scheme.map.assignments), Counter(scheme.map.assignments)
    for slot, alias in enumerate(slots):
        if given[alias] > wanted and given[shards[-1]] < wanted:
            slots[slot] = shards[-1]
            given[alias] -= 1
            given[shards[-1]] += 1
    found = SlotMap(2, tuple(slots))
    after = type(scheme)("after", shards=shards)
    after.stored = lambda: found
    return after


def movement(keys):
    """Yield a line for each scheme: the fullest shard over the mean, and the share of keys that moves."""
    before, after = schemes(SHARDS, keys), schemes(SHARDS + 1, keys)
    after["slots"] = rebalanced(before["slots"], of(SHARDS + 1))
    del before["directory"]  # which moves the keys that it is told to
    for name, one in before.items():
        other = after[name]
        pairs = [(one.shard_for(key), other.shard_for(key)) for key in range(keys)]
        shares = Counter(was for was, _ in pairs)
        fullest = max(shares.values()) * SHARDS / keys
        moved = sum(was != now for was, now in pairs) / keys
        yield f"{name:<12}{fullest:>10.3f}{moved:>10.1%}"


def ways():
    from scalekit.db.sharding.mapping.loading import StoredMap

    shards, made = of(SHARDS), schemes(SHARDS)
    asked = {"hash(key) % n": lambda key: shards[hash(key) % SHARDS]}
    asked |= {name: scheme.shard_for for name, scheme in made.items()}
    # Each begins elsewhere, so that none finds in memory what another has just looked up.
    found = {
        name: looked_up(way, number * 10_000) for number, (name, way) in enumerate(asked.items())
    }
    stored = made["slots, stored map"] = type(made["slots"])("stored", shards=shards)
    stored.stored = StoredMap(stored, lambda: 3600.0)
    stored.stored._take(None)  # noqa: SLF001 - as if it had been read
    found["slots, stored map"] = looked_up(stored.shard_for, 90_000)
    found["slots, a key of late"] = looked_up(made["slots"].shard_for, number=100)
    try:
        from uhashring import HashRing
    except ImportError:
        return found
    ring = HashRing(shards)
    found["uhashring"] = looked_up(lambda key: ring.get_node(str(key)))
    return found


def looked_up(shard_for, first=0, number=MANY):
    """Return a function that looks up one of `number` keys, each in turn; all were looked up before."""
    keys = cycle([*range(first, number), *range(first)])
    for _ in range(number):
        shard_for(next(keys))
    return lambda: shard_for(next(keys))


def counted():
    """Return what counting a key costs, switched on and off."""
    from scalekit.db.sharding.hot_keys import _ignore
    from scalekit.db.sharding.hot_keys.counting import Recorder

    few, many = cycle(range(1000)), cycle(range(100_000))
    on, other = Recorder().seen, Recorder().seen
    return {
        "a call that does nothing": lambda: _ignore("users", next(few)),
        "hot keys, 1,000 keys": lambda: on("users", next(few)),
        "hot keys, 100,000 keys": lambda: other("users", next(many)),
    }


def in_turns(ways, rounds, calls):
    """Return the nanoseconds of one call of each way: its best round."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], sample(way, calls))
    return best


def sample(way, calls):
    begun = thread_time_ns()
    for _ in range(calls):
        way()
    return (thread_time_ns() - begun) / calls


def show(best):
    first = next(iter(best.values()))
    for name, ns in best.items():
        print(f"{name:<28}{ns:>8.0f} ns{ns / first:>8.1f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the keys")
    quick = parser.parse_args().quick
    settings.configure()
    rounds, keys = (10, KEYS // 10) if quick else (60, KEYS)
    print(f"Key -> shard, {SHARDS} shards")
    lookups = in_turns(ways(), rounds, CALLS)
    show(lookups)
    print("\nCounting the key")
    # As many calls as fill the waiting list a few times, so that each round pays for what it leaves.
    show(in_turns(counted(), max(5, rounds // 4), 20_000))
    print(f"\n{keys} keys, {SHARDS} -> {SHARDS + 1} shards (ideal {1 / (SHARDS + 1):.1%})")
    print(f"{'scheme':<12}{'max/mean':>10}{'moved':>10}")
    for line in movement(keys):
        print(line)
    return int(max(lookups[name] for name in schemes(SHARDS)) > SLOWEST)


if __name__ == "__main__":
    sys.exit(main())
