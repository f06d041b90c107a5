"""What this process has fetched and not settled, by queue; the server has the same list, and may have more."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Holdings:
    """The ids that this process knows of.

    An id is known until the server has confirmed that it is settled, so what the server holds for this
    process beyond them is what an answer lost on its way was about.
    """

    def __init__(self) -> None:
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = Lock()

    def add(self, queue: str, ids: list[str]) -> None:
        with self._lock:
            self._known[queue].update(ids)

    def remove(self, queue: str, ids: Iterable[str]) -> None:
        with self._lock:
            self._known[queue].difference_update(ids)

    def of(self, queue: str) -> list[str]:
        with self._lock:
            return list(self._known[queue])

    def count(self, queue: str) -> int:
        return len(self._known[queue])
