"""Which writes a library notices by itself: 19 ways to write, 8 cached queries each, one after the other.

Every query is cached, then the row is written with plain Django, then every query is asked again; the truth is what
plain Django answers. Then, of the entry of a row that no write touched: does it outlive them? PostgreSQL, Valkey.
"""

from __future__ import annotations

import sys

from benchmarks.cache_changes import (
    SHAPES,
    counted,
    fill,
    make_tables,
    models_of,
    one,
    summed,
    writes,
)
from benchmarks.cache_loads import loads
from benchmarks.cache_orm_peers import Cachalot, CacheopsQuerySet
from benchmarks.cache_processes import ask
from benchmarks.cache_server import client
from benchmarks.cache_setups import TTL, ScalekitModels, Setup, installed, serve
from benchmarks.cache_tables import show
from benchmarks.taking_turns import rounds
from scalekit.testing.servers import Topology

LIMIT = 60  # seconds for one library
OTHER = 2  # the row that is not written


def as_it_is(queryset):
    return queryset


class Plain(Setup):
    name = "plain Django"

    def kept(self, shape):
        """Return the query `shape` as a function whose answers are cached."""
        return lambda *key: shape(as_it_is, *key)


class Cacheops(CacheopsQuerySet, Plain):
    name = "cacheops"

    def settings(self):
        profile = {"ops": "all", "timeout": TTL}
        return {**super().settings(), "CACHEOPS": {"cache_shop.*": profile}}


class CachalotTables(Cachalot, Plain):
    name = "cachalot"


class Functions(ScalekitModels, Plain):
    name = "scalekit depends_on="

    def kept(self, shape):
        from scalekit.cache import cached

        @cached(ttl=TTL, key=lambda *key: (shape.__name__, *key), depends_on=models_of(shape))
        def page(*key):
            return shape(as_it_is, *key)

        return page


class Rows(ScalekitModels, Plain):
    """Has rows only: what is counted or summed goes to the database."""

    name = "scalekit .cached()"

    def kept(self, shape):
        if shape in {counted, summed}:
            return super().kept(shape)
        return lambda *key: shape(rows_kept, *key)


def rows_kept(queryset):
    from scalekit.cache.queryset import CachedQuerySet

    queryset.__class__ = CachedQuerySet  # as a manager made of it would have given
    return queryset.cached(TTL)


SETUPS = (Cacheops, CachalotTables, Functions, Rows)


def notice(say, kind, url, database, new):
    """Say, for each write, what each query answers after it, and whether the other row's entry is still there."""
    setup = serve(kind(url), database)
    if new:
        make_tables()
    shapes, other = [setup.kept(shape) for shape in SHAPES], setup.kept(one)
    for change in writes():
        fill()
        with client(url) as redis:
            redis.flushall()
        for shape in shapes:
            shape()
        other(OTHER)
        change(1)
        before = loads.count
        other(OTHER)
        kept = loads.count == before
        say((change.name, [shape() for shape in shapes], kept))


def answers(kind, url, database, new=False):
    """Return what `notice` said."""
    return ask(LIMIT, collected, kind, url, database, new)


def collected(say, *arguments):
    said = []
    notice(said.append, *arguments)
    say(said)


def main():
    rounds(__doc__)
    print(__doc__)
    with Topology() as topology:
        servers = topology.valkey().url, topology.postgres().django_settings()
        truth = answers(Plain, *servers, new=True)
        found = {kind.name: answers(kind, *servers) for kind in installed(*SETUPS)}
    rows = [[name] for name, *_ in truth]
    kept = {name: sum(still for *_, still in said) for name, said in found.items()}
    for said in found.values():
        for row, (_, right, _), (_, seen, _) in zip(rows, truth, said, strict=True):
            stale = sum(a != b for a, b in zip(seen, right, strict=True))
            row.append(f"{stale} of {len(SHAPES)} stale" if stale else "fresh")
    summary = [["all fresh", *(f"{column.count('fresh')} of 19" for column in _columns(rows))]]
    summary.append(["another row's entry kept", *(f"{n} of 19" for n in kept.values())])
    faults = [
        name
        for name, cell in zip(found, summary[0][1:], strict=True)
        if "scalekit" in name and cell != "19 of 19"
    ]
    show("Writes that the library must notice itself", ["", *found], rows + summary)
    if faults:
        sys.exit(f"Stale after a write: {faults}")


def _columns(rows):
    return list(zip(*rows, strict=True))[1:]


if __name__ == "__main__":
    main()
