"""Which values Python compares as a database does, and who compares the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import models

from scalekit.db.sharding.scatter.collations import collation_of, ranks
from scalekit.db.sharding.scatter.refusals import cannot_order, cannot_tell_apart
from scalekit.db.sharding.scatter.sorting import Order

if TYPE_CHECKING:
    from scalekit.db.sharding.scatter.judges import Judges
    from scalekit.db.sharding.scatter.ordering import Sort

NATIVE = (
    models.IntegerField,
    models.BooleanField,
    models.DateField,
    models.TimeField,
    models.DecimalField,
    models.FloatField,
    models.DurationField,
    models.UUIDField,
)
TEXT = (models.CharField, models.TextField)


def incomparable(expression: Any) -> str:
    """Return why the values of an expression cannot be compared outside of the database; empty if they can."""
    if expression.contains_over_clause:
        return "a window sees the rows of one shard alone"
    field = _field_of(expression)
    kind = type(field).__name__
    if hasattr(field, "from_db_value"):
        return f"{kind} makes of its values something else than the database compares"
    if not isinstance(field, NATIVE + TEXT):
        return f"how the database compares a {kind} is not known to Python"
    return ""


def require_sortable(model: Any, sort: Sort, expression: Any) -> None:
    """Raise `ScatterUnsupported` for what only the database can sort."""
    why = incomparable(expression)
    if why:
        raise cannot_order(model, label(sort), why)


def require_comparable(rows: Any, sort: Sort, expression: Any, judges: Judges) -> Order:
    """Return how values are compared. Raises `ScatterUnsupported` for what only the database can tell apart."""
    why = incomparable(expression)
    if why:
        raise cannot_tell_apart(rows.model, label(sort), why)
    return order_of(rows, sort, expression, judges, same=True)


def order_of(
    rows: Any, sort: Sort, expression: Any, judges: Judges, *, same: bool = False
) -> Order:
    """Return how the values of an expression in a queryset's rows are compared.

    `judges` are asked about text. With `same`, values that compare as equal are one.
    """
    nulls = sort.nulls_first
    if nulls is None:
        nulls = sort.descending == judges.connection.features.nulls_order_largest
    order = Order(sort.descending, nulls)
    if not isinstance(_field_of(expression), TEXT):
        return order
    collation = collation_of(rows, expression, judges)
    if collation is None:
        why = f"its collation on {judges.vendor} is not known to compare bytes"
        raise cannot_order(rows.model, label(sort), why)
    if same and not collation.deterministic:
        why = f"the collation {collation.name} takes different texts for equal"
        raise cannot_tell_apart(rows.model, label(sort), why)
    if collation.binary:
        return order
    return replace(order, ranks=lambda texts: ranks(texts, collation, judges))


def label(sort: Sort) -> str:
    """Return what to call a column in an error."""
    target = getattr(sort.expression, "target", None)
    return sort.name or (repr(sort.expression) if target is None else str(target.name))


def _field_of(expression: Any) -> Any:
    field = expression.output_field
    while getattr(field, "remote_field", None) is not None:
        field = field.target_field
    return field
