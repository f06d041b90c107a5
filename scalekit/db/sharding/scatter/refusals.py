"""What scatter() refuses, and what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.db.exceptions import ScatterUnsupported

if TYPE_CHECKING:
    from django.db.models import Model


def cannot_order(model: type[Model], name: Any, why: str) -> ScatterUnsupported:
    return ScatterUnsupported(f"scatter() cannot order {model.__name__} by {name!r}: {why}.")


def cannot_tell_apart(model: type[Model], name: Any, why: str) -> ScatterUnsupported:
    msg = (
        f"scatter() cannot tell which {name!r} of {model.__name__} are equal: {why}. Leave it out of "
        "distinct() and of the values that are grouped by."
    )
    return ScatterUnsupported(msg)


def cannot_do(model: type[Model], verb: str, why: str, instead: str) -> ScatterUnsupported:
    return ScatterUnsupported(
        f"scatter() on {model.__name__} has no {verb}: {why}. Instead, {instead}."
    )


def cannot_aggregate(name: str, why: str, instead: str) -> ScatterUnsupported:
    return ScatterUnsupported(f"scatter() cannot merge the aggregate {name!r}: {why}. {instead}")


def too_many_rows(model: type[Model], limit: int) -> ScatterUnsupported:
    msg = (
        f"scatter() on {model.__name__} would hold more than {limit:,} rows of all shards at once "
        "(SCALEKIT_DB_SCATTER_MAX_ROWS). Read them with iterator(), which merges as it reads; page with "
        "after() in place of a deep offset; or narrow the query."
    )
    return ScatterUnsupported(msg)


def shards_disagree(model: type[Model], name: Any, alias: str, judge: str) -> ScatterUnsupported:
    msg = (
        f"scatter() cannot order {model.__name__} by {name!r}: {alias} has sorted it otherwise than "
        f"{judge} does. Their collations differ, perhaps by version: compare pg_collation_actual_version() "
        "on both, and reindex after an upgrade."
    )
    return ScatterUnsupported(msg)
