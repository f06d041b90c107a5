"""How full shards are. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and bytes; None for bytes where the database does not say."""

    rows: int = 0
    bytes: int | None = None

    def __add__(self, other: Size) -> Size:
        known = [each.bytes for each in (self, other) if each.bytes is not None]
        return Size(self.rows + other.rows, sum(known) if known else None)


@dataclass(frozen=True, slots=True)
class Fullness:
    """What one shard holds, table by table; `error` is why that is not known."""

    alias: str
    slots: int = 0
    tables: Mapping[str, Size] = field(default_factory=dict)
    error: str = ""

    @property
    def total(self) -> Size:
        return sum(self.tables.values(), Size())


def skew(amounts: list[int]) -> float | None:
    """Return how full the fullest is over the mean of all: 1 if all are alike, None if all are empty."""
    total = sum(amounts)
    return max(amounts) * len(amounts) / total if total else None
