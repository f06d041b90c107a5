"""A foreign key to rows of another database."""

from __future__ import annotations

from typing import Any

from django.db import models

from scalekit.db.sharding.declarations import group_of
from scalekit.db.sharding.joins import is_within_reach
from scalekit.db.sharding.refusals import join_from_outside


class LooseForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # not generic at run time
    """A foreign key between a sharded row and one that is not, or that is of another shard group.

    No database can watch it, so it has no constraint, and deleting a row does nothing to those that point to it. The
    row is read by a query of its own. A join over it raises `CrossShardQuery`, but for one from a sharded row to
    a reference table. Until sharding is switched on, it joins.
    """

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        if on_delete is not models.DO_NOTHING or kwargs.get("db_constraint"):
            msg = (
                "No database sees both sides of a LooseForeignKey: leave out on_delete and db_constraint, and delete what "
                "is left over by yourself."
            )
            raise ValueError(msg)
        super().__init__(to, models.DO_NOTHING, **{**kwargs, "db_constraint": False})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["db_constraint"]
        return name, path.replace(f"{__name__}.", "scalekit.db."), args, kwargs

    def get_reverse_joining_fields(self) -> Any:
        """Give Django the columns by which a query on the other model joins this one, as it is built."""
        self._check_join(outer=self.related_model, joined=self.model)
        return super().get_reverse_joining_fields()

    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        """Give Django nothing to add to a join; it asks when the query runs, after needless joins were dropped."""
        self._check_join(outer=self.model, joined=self.related_model)
        return super().get_extra_restriction(alias, related_alias)

    def _check_join(self, *, outer: Any, joined: Any) -> None:
        group = group_of(joined)
        if group is not None and not is_within_reach(outer, group, reference=False):
            raise join_from_outside(outer, joined)
