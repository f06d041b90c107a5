"""Let a test read from replicas: the routing of production, inside the transaction of a TestCase."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections

from scalekit.db.cluster import current_cluster, forget_cluster
from scalekit.db.transactions import is_open, looking_through_tests
from scalekit.db.writes import is_write

from .exceptions import ReplicasUntestable
from .stand_in import stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READS = ("SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "(", "DECLARE")


@contextmanager
def visible_replicas(*aliases: str) -> Iterator[Counter[str]]:
    """Route the reads of a test as in production; give the number of reads by alias, primaries included.

    The replicas (all, or `aliases`) answer on their primary's connection, so that they see what the test
    wrote; a write through one raises `WriteOnReplica`. The transaction around the test counts as none, and
    a visitor is pinned when the outermost `atomic()` of the code itself ends. Raises `ReplicasUntestable`.
    """
    reads: Counter[str] = Counter()
    replicas = replicas_named(aliases)
    with ExitStack() as stack:
        stack.enter_context(looking_through_tests())
        stack.enter_context(_without_mirrors(replicas))
        for alias in sorted(set(replicas.values())):
            stack.enter_context(_watched(connections[alias], reads))
        for alias, primary in replicas.items():
            connection = stand_in(alias, connections[primary])
            stack.enter_context(in_place_of(alias, connection, reads))
        yield reads


def replicas_named(aliases: tuple[str, ...]) -> dict[str, str]:
    """Return replica -> primary, of all replicas or of `aliases`. Raises `ReplicasUntestable`."""
    found = {alias: p for alias, p in current_cluster().owner.items() if alias != p}
    unknown = sorted(set(aliases) - set(found))
    if unknown or not found:
        named = ", ".join(unknown) or "DATABASES"
        hint = 'Give its entry in DATABASES "SCALEKIT": {"REPLICA_OF": "default"}.'
        raise ReplicasUntestable(f"{named}: no replica there. {hint}")
    return {alias: found[alias] for alias in aliases or found}


@contextmanager
def in_place_of(alias: str, connection: Any, reads: Counter[str]) -> Iterator[None]:
    """Let `connection` be the one of `alias` in this thread, and count its reads.

    The one that is there may be forbidden to the test (`TestCase.databases`); it comes back untouched.
    """
    before = connections[alias]
    connections[alias] = connection
    with _counted(connection, reads):
        try:
            yield
        finally:
            connections[alias] = before


@contextmanager
def _without_mirrors(replicas: dict[str, str]) -> Iterator[None]:
    """Let the router use these replicas, which it otherwise avoids in tests."""
    entries = connections.settings
    before = {alias: entries[alias] for alias in replicas}
    try:
        for alias, entry in before.items():
            entries[alias] = {**entry, "TEST": {**entry["TEST"], "MIRROR": None}}
        forget_cluster()
        yield
    finally:
        entries.update(before)
        forget_cluster()


@contextmanager
def _counted(connection: Any, reads: Counter[str]) -> Iterator[None]:
    def count(
        execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if str(sql).lstrip().upper().startswith(_READS) and not is_write(sql):
            reads[connection.alias] += 1
        return execute(sql, params, many, context)

    with _wrapped(connection, count):
        yield


@contextmanager
def _watched(connection: Any, reads: Counter[str]) -> Iterator[None]:
    """Count a primary's reads, and pin visitors when a transaction ends that would have committed."""

    def pin_after(execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
        result = execute(sql, *args)
        # Django drops the hooks of what is rolled back after this statement: too early to run them.
        ended = connection.in_atomic_block and not is_open(connection)
        if connection.run_on_commit and ended and not str(sql).startswith("ROLLBACK"):
            _run_our_hooks(connection)
        return result

    with _counted(connection, reads), _wrapped(connection, pin_after):
        yield


def _run_our_hooks(connection: Any) -> None:
    """Run what remembers a commit, and nothing of the site's: that is `captureOnCommitCallbacks`'s."""
    ours = [entry for entry in connection.run_on_commit if _is_ours(entry[1])]
    connection.run_on_commit = [e for e in connection.run_on_commit if e not in ours]
    for _, hook, *_ in ours:
        hook()


def _is_ours(hook: Any) -> bool:
    return getattr(getattr(hook, "func", hook), "__module__", "") == "scalekit.db.writes"


@contextmanager
def _wrapped(connection: Any, wrapper: Callable[..., Any]) -> Iterator[None]:
    """Wrap statements from outside, since Django's `execute_wrapper()` removes the innermost at its end."""
    connection.execute_wrappers.insert(0, wrapper)
    try:
        yield
    finally:
        connection.execute_wrappers.remove(wrapper)
