"""Fill a new column from a row it is derived from, a few thousand rows at a time."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from scalekit.db.sharding.splitting.copying import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

BATCH = 2_000  # rows of one UPDATE: locks are held for its time alone


def unfilled(model: type[Model], field: str, alias: str) -> int:
    rows: models.QuerySet[Any] = models.QuerySet(model, using=alias)
    return rows.filter(**{f"{field}__isnull": True}).count()


def backfill(
    model: type[Model], field: str, path: str, alias: str, batch: int = BATCH
) -> Iterator[Step]:
    """Set `field` to what `path` names, where it is NULL; may be stopped and started again."""
    table: models.QuerySet[Any] = models.QuerySet(model, using=alias)
    source = table.filter(pk=models.OuterRef("pk")).order_by().values_list(path)[:1]
    last = None
    while True:
        rows = table.filter(**{f"{field}__isnull": True})
        if last is not None:
            rows = rows.filter(pk__gt=last)
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:batch])
        if not ids:
            return
        chosen = table.filter(pk__in=ids)
        done = chosen.filter(**{f"{field}__isnull": True}).update(
            **{field: models.Subquery(source)}
        )
        last = ids[-1]
        yield Step(model._meta.db_table, done, 0, is_last=len(ids) < batch)
