"""The database of a query: where `QuerySet.db` is asked, the shard is found from what the query says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

from scalekit.db.cluster import current_cluster
from scalekit.db.conf import schemes
from scalekit.db.servers import read_alias
from scalekit.db.sharding import hot_keys
from scalekit.db.sharding.declarations import configured_group, group_of
from scalekit.db.sharding.joins import ShardedQuery, check_selected, check_union
from scalekit.db.sharding.lookups import is_plain, named_by, placed_at_once, shards_of_query
from scalekit.db.sharding.mapping.staleness import retry_when_stale
from scalekit.db.sharding.placing import AnyShard, primary_of, primary_of_context, required
from scalekit.db.sharding.prefetching import prefetch_shards
from scalekit.db.sharding.refusals import several_shards
from scalekit.db.sharding.subqueries import check_subqueries

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")


class FindsShard(models.QuerySet[M]):
    """A queryset that finds its shard when it runs."""

    if TYPE_CHECKING:  # Django's own, which the stubs leave out
        _db: str | None
        _for_write: bool
        _hints: dict[str, Any]
        _prefetch_related_lookups: tuple[Any, ...]

        def _chain(self) -> Self: ...

    def __init__(
        self,
        model: type[M] | None = None,
        query: Any = None,
        using: str | None = None,
        hints: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model, query or ShardedQuery(model), using, hints)

    @property
    def db(self) -> str:
        """Return the database used if this query is executed now. Raises `ShardKeyRequired`."""
        group = group_of(self.model)
        if group is None:
            return super().db
        if self._db is not None and self._is_placed:
            if not is_plain(self.query):
                owner = current_cluster().owner.get(str(self._db))
                check_subqueries(self.query, group, owner, explicit=True)
            return str(self._db)
        primary = self._primary(group)
        return primary if self._for_write else read_alias(primary)

    @property
    def _is_placed(self) -> bool:
        return self._db is not None and not isinstance(self._db, AnyShard)

    def _unplaced_group(self) -> str | None:
        """Return the group whose shard is to be found, None where Django's own way is right."""
        return None if self._is_placed else group_of(self.model)

    def _primary(self, group: str) -> str:
        scheme = schemes[group]
        placed = None if scheme.spreads_itself else placed_at_once(self.query, group, scheme)
        if placed is not None:
            primary, key = placed
            if key is not None:
                hot_keys.seen(group, key)
            return primary
        primary = self._named_primary(group)
        if not is_plain(self.query):
            check_subqueries(self.query, group, primary)
        return primary

    def _named_primary(self, group: str) -> str:
        scheme = schemes[group]
        if scheme.spreads_itself:
            return scheme.shards[0]
        named = named_by(self.query, group)
        shards = prefetch_shards(self.query, group, self._hints, named) if self._hints else None
        if shards is not None:
            return shards[0] if shards else scheme.shards[0]  # whose features Django asks for
        if named is None:
            return self._primary_around(group)
        found = named.sure()
        for condition in named.conditions:
            for key in condition.keys:
                hot_keys.seen(group, key)
        if len(found) > 1:
            raise several_shards(self.model, [alias for alias in scheme.shards if alias in found])
        # A query that can match nothing may ask any shard.
        return next(iter(found), scheme.shards[0])

    def _primary_around(self, group: str) -> str:
        """Return the shard of the row that this query hangs on, or of the block it is in."""
        instance = self._hints.get("instance")
        # An unsharded row that is the key of what hangs on it is a condition, which has named the shard.
        if instance is None or group_of(type(instance)) != group:
            alias = primary_of_context(group)
        else:
            alias = primary_of(self.model, group, instance, for_write=False)
        if alias is None or isinstance(alias, AnyShard):
            raise required(self.model)
        return alias

    def _shards(self, group: str) -> list[str] | None:
        """Return the primaries that the conditions name, in the setting's order; None if they do not."""
        named = shards_of_query(self.query, group)
        return None if named is None else [a for a in schemes[group].shards if a in named]

    def _retried(self, function: Callable[[], T]) -> T:
        """Call `function`, and again if the rows have moved to other databases meanwhile."""
        return function() if configured_group(self.model) is None else retry_when_stale(function)

    def select_related(self, *fields: Any) -> Self:
        """Join related rows, those of the same shard alone. Raises `CrossShardQuery`."""
        selected = super().select_related(*fields)
        check_selected(selected.query)
        return selected

    def _combinator_query(self, combinator: str, *other_qs: Any, all: bool = False) -> Self:  # noqa: A002 - Django's name
        check_union(self.query, other_qs)
        return super()._combinator_query(combinator, *other_qs, all=all)  # type: ignore[misc,no-any-return]  # not in the stubs
