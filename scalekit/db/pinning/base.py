from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.db.facts import Pins


class Pinning(ABC):
    """Remember between requests which primaries a visitor has just written to."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def recall(self, request: HttpRequest) -> Pins:
        """Return what is known of this visitor. Never raises for what the visitor sent."""

    @abstractmethod
    def remember(self, request: HttpRequest, response: HttpResponseBase, pins: Pins) -> None:
        """Keep `pins`, in the response or elsewhere; called only after a write."""
