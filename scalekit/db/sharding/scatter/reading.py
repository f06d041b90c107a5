"""Ask the shards of a scattered queryset, and make one answer of theirs."""
# ruff: noqa: SLF001 - querysets of ours

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from scalekit.db.conf import schemes, settings
from scalekit.db.events import SCATTERED, SHARD_FAILED
from scalekit.db.exceptions import ShardFailed
from scalekit.db.servers import read_alias
from scalekit.db.sharding.parallel import outcomes_on_shards
from scalekit.db.sharding.scatter.comparing import label
from scalekit.db.sharding.scatter.grouping import Grouping, is_grouped, keys_of, lie_together
from scalekit.db.sharding.scatter.judges import Judges
from scalekit.db.sharding.scatter.ordering import Sort
from scalekit.db.sharding.scatter.plans import Plan, plan_of, plan_of_count
from scalekit.db.sharding.scatter.refusals import cannot_do, shards_disagree, too_many_rows
from scalekit.db.sharding.scatter.sorting import (
    Chunk,
    OutOfOrder,
    merged,
    merged_at_once,
    without_repeats,
)
from scalekit.db.sharding.scatter.statements import rows_made, statements_for
from scalekit.db.sharding.scatter.streaming import Stream
from scalekit.db.sharding.subqueries import check_subqueries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")


def servers_of(rows: Any, verb: str) -> list[str]:
    """Return the server to ask for each shard, and announce it. Raises `CrossShardQuery`."""
    check_subqueries(rows.query, rows.group, None)
    shards: list[str] = rows.shards()
    SCATTERED.emit(group=rows.group, model=rows.model.__name__, verb=verb, shards=len(shards))
    if rows._for_write or rows.query.select_for_update:
        return shards
    return [read_alias(alias) for alias in shards]


def judges_of(servers: Sequence[str], rows: Any) -> Judges:
    return Judges(servers or schemes[rows.group].shards)


def gathered(rows: Any, servers: Sequence[str], ask: Callable[[str], T]) -> dict[str, T]:
    """Return what each server answers. Raises `ShardFailed` unless a partial answer will do."""
    outcomes = outcomes_on_shards(servers, ask, seconds=rows.patience)
    errors = {outcome.alias: outcome.error for outcome in outcomes if outcome.error is not None}
    for error in errors.values():
        if not rows._partial or not isinstance(error, ShardFailed) or len(errors) == len(outcomes):
            raise error
        SHARD_FAILED.emit(alias=error.alias, group=rows.group, error=str(error))
    rows.failed = tuple(error.alias for error in errors.values() if isinstance(error, ShardFailed))
    return {o.alias: o.value for o in outcomes if o.error is None}  # type: ignore[misc]  # no error, so a value


def asked(rows: Any, ask: Callable[[Any], T], verb: str) -> dict[str, T]:
    """Ask each shard the same of an ordinary queryset."""
    part = rows.on_one_shard()
    return gathered(rows, servers_of(rows, verb), lambda alias: ask(part.using(alias)))


def rows_of(rows: Any) -> list[Any]:
    """Return all rows, merged."""
    servers = servers_of(rows, "rows")
    if is_grouped(rows) and not lie_together(rows):
        return _groups_of(rows, servers)
    plan = _plan_of(rows)
    statements = statements_for(_with_room(plan), servers)
    answers = gathered(rows, servers, lambda alias: statements[alias].ask(alias))
    _check_room(rows, sum(map(len, answers.values())))
    chunks = {alias: statements[alias].chunk(alias, answer) for alias, answer in answers.items()}
    with _naming(rows, plan, list(chunks)):
        found = _merged_at_once(plan, chunks)[plan.start : plan.stop]
    return plan.finished(found if plan.gives_tuples else rows_made(statements, found))


def stream_of(rows: Any, size: int) -> Iterator[Any]:
    """Give all rows, merged as they are read."""
    if is_grouped(rows) and not lie_together(rows):
        yield from rows_of(rows)
        return
    rows.failed = ()
    servers, plan = servers_of(rows, "iterator"), _plan_of(rows)
    with ExitStack() as stack:
        streams = []
        for alias in servers:
            stream = stack.enter_context(closing(Stream(plan, alias, size, rows.patience)))
            streams.append(_unless_failed(rows, stream, len(servers)))
        given = _begun(streams, servers)
        with _naming(rows, plan, list(given)):
            chunks = _merged_stream(plan, given)
            flat = (row for chunk in chunks for row in plan.finished(chunk.rows))
            yield from islice(flat, plan.start, plan.stop)


def _begun(
    streams: Sequence[Iterator[Chunk]], servers: Sequence[str]
) -> dict[str, Iterator[Chunk]]:
    """Return, by server, the streams that have rows: only those need to be compared."""
    begun: dict[str, Iterator[Chunk]] = {}
    for alias, stream in zip(servers, streams, strict=True):
        first = next(stream, None)
        if first is not None:
            begun[alias] = chain([first], stream)
    return begun


def _merged_stream(plan: Plan, given: Mapping[str, Iterator[Chunk]]) -> Iterable[Chunk]:
    if len(given) < 2:  # noqa: PLR2004 - sorted by its shard, nothing to compare
        return chain.from_iterable(given.values())
    chunks = merged(list(given.values()), plan.orders(Judges(given)), plan.same)
    return without_repeats(chunks, plan.same) if plan.same else chunks


def count_of(rows: Any) -> int:
    """Return the number of rows, of the slice if there is one."""
    query = rows.query
    total = _whole_count(rows)
    stop = total if query.high_mark is None else min(query.high_mark, total)
    return int(max(0, stop - query.low_mark))


def any_of(rows: Any) -> bool:
    """Return whether there are rows, in the slice if there is one."""
    if rows.query.is_sliced:
        return count_of(rows) > 0
    return any(asked(rows, lambda part: part.exists(), "exists").values())


def _whole_count(rows: Any) -> int:
    whole = rows._chain()
    # An order adds to what a slice tells apart and, since Django 6.0, to what is grouped by.
    if getattr(whole.query, "orderby_issubset_groupby", True):
        whole.query.clear_ordering(force=False)
    whole.query.clear_limits()
    apart = is_grouped(rows) and not lie_together(rows)
    if apart or (rows.query.distinct and _may_repeat(rows)):
        count = len(rows_of(whole))
        rows.failed = whole.failed
        return count
    plan = plan_of_count(rows)
    if plan is None:
        return sum(asked_as(rows, whole, lambda part: part.count(), "count").values())
    servers = servers_of(rows, "count")
    statements = statements_for(plan, servers)
    answers = gathered(rows, servers, lambda alias: statements[alias].ask(alias))
    return sum(count for answer in answers.values() for (count,) in answer)


def asked_as(rows: Any, other: Any, ask: Callable[[Any], T], verb: str) -> dict[str, T]:
    """Ask the shards of another form of `rows`, which hears which shards have failed."""
    answers = asked(other, ask, verb)
    rows.failed = other.failed
    return answers


def _may_repeat(rows: Any) -> bool:
    return rows._fields is not None or bool(rows.query.distinct_fields)


def _plan_of(rows: Any) -> Plan:
    part = rows.on_one_shard()
    _refuse_what_no_plan_has(rows)
    keys = keys_of(rows) if is_grouped(rows) else []
    ids = [field.get_col(rows.query.base_table) for field in rows.model._meta.pk_fields]
    if not keys or set(ids) <= set(keys):
        return plan_of(rows, part)
    return plan_of(rows, part, [Sort(key) for key in keys])


def _refuse_what_no_plan_has(rows: Any) -> None:
    for name, annotation in rows.query.annotations.items():
        if annotation.contains_over_clause:
            why = f"{name} would see the rows of one shard alone"
            raise cannot_do(rows.model, "window functions", why, "compute it in Python")


def _with_room(plan: Plan) -> Plan:
    room = settings.SCATTER_MAX_ROWS
    return plan.limited(room + 1) if room else plan


def _check_room(rows: Any, count: int) -> None:
    room = settings.SCATTER_MAX_ROWS
    if room and count > room:
        raise too_many_rows(rows.model, room)


def _merged_at_once(plan: Plan, chunks: Mapping[str, Chunk]) -> list[Any]:
    filled = {alias: chunk for alias, chunk in chunks.items() if chunk.rows}
    if len(filled) < 2:  # noqa: PLR2004 - sorted by its shard, nothing to compare
        return [row for chunk in filled.values() for row in chunk.rows]
    orders = plan.orders(Judges(filled))
    whole = merged_at_once(list(chunks.values()), orders, plan.same)
    if plan.same:
        whole = next(without_repeats([whole], plan.same))
    return whole.rows


def _unless_failed(rows: Any, stream: Stream, servers: int) -> Iterator[Chunk]:
    try:
        yield from stream
    except ShardFailed as error:
        if not rows._partial or len(rows.failed) + 1 == servers:
            raise
        SHARD_FAILED.emit(alias=error.alias, group=rows.group, error=str(error))
        rows.failed = (*rows.failed, error.alias)


def _groups_of(rows: Any, servers: Sequence[str]) -> list[Any]:
    judges = judges_of(servers, rows)
    grouping = Grouping(rows, rows.on_one_shard(), judges)
    grouping.prepare()
    if settings.SCATTER_MAX_ROWS:
        grouping.part.query.set_limits(0, settings.SCATTER_MAX_ROWS + 1)
    found = gathered(rows, servers, lambda alias: list(grouping.part.using(alias)))
    judges.narrow(alias for alias, groups in found.items() if groups)
    _check_room(rows, sum(map(len, found.values())))
    return grouping.merged(found)


@contextmanager
def _naming(rows: Any, plan: Plan, servers: Sequence[str]) -> Iterator[None]:
    """Say in words which shard has not sorted its rows as the others have."""
    try:
        yield
    except OutOfOrder as error:
        names = ", ".join(label(key.sort) for key in plan.keys)
        raise shards_disagree(rows.model, names, servers[error.args[0]], servers[0]) from error
