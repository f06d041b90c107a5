"""Querysets that find their shard when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from scalekit.db.conf import schemes
from scalekit.db.sharding.finding import M
from scalekit.db.sharding.writing import WritesRows

if TYPE_CHECKING:
    from typing import Self


class ShardedQuerySet(WritesRows[M]):
    """A queryset of a `ShardedModel`: an ordinary one until the model's group is configured.

    `failed` names the shards that are missing in the answer of ``scatter(partial=True)``.
    """

    failed: tuple[str, ...] = ()

    def scatter(self, *, partial: bool = False, seconds: float | None = None) -> Any:
        """Ask every shard, or those the conditions name, and merge the answers exactly.

        A shard that does not answer within `seconds` (SCALEKIT_DB_SCATTER_SECONDS; 0 is never) is an error
        that names it; with `partial`, rows of the others are given, and `failed` says which are missing.
        """
        from scalekit.db.sharding.scatter import scattered

        group = self._unplaced_group()
        if group is None or schemes[group].spreads_itself:
            return self._chain()
        return scattered(self, partial=partial, seconds=seconds)

    def after(self, row: Any) -> Self:
        """Return the rows that come after `row` in this order: an instance, a dict of values, or a `cursor()`.

        A page that begins here costs what the first does, whatever its number. The id decides between rows
        that are otherwise equal. Raises `CursorInvalid` for a cursor that is damaged or of another order.
        """
        from scalekit.db.sharding.scatter.keyset import rows_after

        return rows_after(self, row)  # type: ignore[no-any-return]  # of this class

    def cursor(self, row: Any) -> str:
        """Return the place of a row in this order as text for a URL, to be given to `after()`.

        It holds the row's values in the columns of the order, encoded and not encrypted.
        """
        from scalekit.db.sharding.scatter.keyset import cursor_of

        return cursor_of(self, row)


class ShardedManager(models.Manager.from_queryset(ShardedQuerySet)):  # type: ignore[misc]  # made by Django
    """The manager of sharded models; build your own from `ShardedQuerySet`."""
