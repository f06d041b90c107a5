"""Pages that begin after a row, whatever their number: no shard reads what stands before them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.db.models import F, Q

from scalekit.db.exceptions import CursorInvalid
from scalekit.db.sharding.scatter.ordering import Sort, sorts_of, sorts_of_id, with_ties
from scalekit.db.sharding.scatter.refusals import cannot_order

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CURSOR = 4096  # characters: what a URL carries everywhere


def sorts_to_page_by(rows: Any) -> tuple[Sort, ...]:
    """Return the columns of a queryset's order, with the id. Raises `ScatterUnsupported` for expressions."""
    ties = sorts_of_id(rows.model)
    if not rows.query.standard_ordering:
        ties = tuple(sort.reversed() for sort in ties)
    sorts = with_ties(sorts_of(rows.query), ties, rows.model)
    for sort in sorts:
        if not sort.name:
            raise cannot_order(rows.model, sort.expression, "after() needs columns or annotations")
    return sorts


def values_of(rows: Any, row: Any) -> list[Any]:
    """Return what a row has in the columns of the order; `row` is an instance, a dict or a cursor."""
    sorts = sorts_to_page_by(rows)
    if isinstance(row, str):
        return _read(rows, row, sorts)
    if isinstance(row, dict):
        return [row[sort.name] for sort in sorts]
    return [_followed(row, sort.name) for sort in sorts]


def cursor_of(rows: Any, row: Any) -> str:
    """Return a row's place as text for a URL."""
    text = json.dumps(values_of(rows, row), cls=DjangoJSONEncoder, separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def rows_after(rows: Any, row: Any) -> Any:
    """Return the rows of a queryset that come after one in its order."""
    sorts, values = sorts_to_page_by(rows), values_of(rows, row)
    largest = connections[rows.db].features.nulls_order_largest
    found, before = Q(pk__in=[]), Q()
    for sort, value in zip(sorts, values, strict=True):
        nulls_first = sort.nulls_first
        if nulls_first is None:
            nulls_first = sort.descending == largest
        found |= before & _after(sort, value, nulls_first=nulls_first)
        before &= Q(**{f"{sort.name}__isnull": True}) if value is None else Q(**{sort.name: value})
    ordered = rows.order_by(*(sort.order_by() for sort in sorts))
    ordered.query.standard_ordering = True
    return ordered.filter(found)


def _after(sort: Sort, value: Any, *, nulls_first: bool) -> Q:
    if value is None:
        return Q(**{f"{sort.name}__isnull": False}) if nulls_first else Q(pk__in=[])
    greater = Q(**{f"{sort.name}__{'lt' if sort.descending else 'gt'}": value})
    return greater if nulls_first else greater | Q(**{f"{sort.name}__isnull": True})


def _followed(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part, None)
    return getattr(row, "pk", row)


def _read(rows: Any, cursor: str, sorts: Sequence[Sort]) -> list[Any]:
    """Return the values in a cursor, which comes from a visitor. Raises `CursorInvalid`."""
    query = rows.query.clone()
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError(cursor)
        texts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fields = [F(sort.name).resolve_expression(query).output_field for sort in sorts]
        return [_valid(field, text) for field, text in zip(fields, texts, strict=True)]
    except (ValueError, TypeError, ArithmeticError, ValidationError, RecursionError) as error:
        raise CursorInvalid from error


def _valid(field: Any, text: Any) -> Any:
    value = None if text is None else field.to_python(text)
    if isinstance(value, str) and "\0" in value:  # which PostgreSQL takes in no text
        raise ValueError(value)
    if value is not None:
        field.run_validators(value)
    return value
