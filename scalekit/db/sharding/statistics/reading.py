"""Ask shards how full they are."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connections
from django.db.models import QuerySet

from scalekit.db.conf import schemes
from scalekit.db.sharding.group_models import models_of
from scalekit.db.sharding.mapping.showing import described
from scalekit.db.sharding.migrating.steps import text_of
from scalekit.db.sharding.parallel import outcomes_on_shards
from scalekit.db.sharding.statistics.fullness import Fullness, Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

SIZES = Path(__file__).with_name("sizes.sql").read_text()


def fullness_of(group: str, *, exact: bool) -> list[Fullness]:
    """Return how full each shard of a group is, having asked all at once.

    Rows are estimated by the statistics of PostgreSQL; counted elsewhere, or if they are to be `exact`.
    """
    slots = described(schemes[group])["shards"]
    ask = partial(_sizes, models=models_of(group), exact=exact)
    return [
        Fullness(
            outcome.alias,
            slots[outcome.alias]["slots"],
            outcome.value or {},
            "" if outcome.error is None else text_of(outcome.error),
        )
        for outcome in outcomes_on_shards(schemes[group].shards, ask)
    ]


def _sizes(alias: str, models: Sequence[type[Model]], *, exact: bool) -> dict[str, Size]:
    connection = connections[alias]
    tables = [model._meta.db_table for model in models]
    if connection.vendor != "postgresql":
        there = connection.introspection.table_names()
        return _counted(alias, models, {table: Size() for table in tables if table in there})
    with connection.cursor() as cursor:
        cursor.execute(SIZES, [tables])
        sizes = {table: Size(rows, stored) for table, rows, stored in cursor.fetchall()}
    return _counted(alias, models, sizes) if exact else sizes


def _counted(alias: str, models: Sequence[type[Model]], sizes: dict[str, Size]) -> dict[str, Size]:
    return {
        table: replace(sizes[table], rows=QuerySet(model, using=alias).count())
        for model in models
        if (table := model._meta.db_table) in sizes
    }
