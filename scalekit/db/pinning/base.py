from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.db.pins import Pins


class Pinning(ABC):
    """Remember between requests what a visitor must be able to see."""

    waits = False  # whether recalling asks a server, which an event loop must not wait for

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def recall(self, request: HttpRequest) -> Pins:
        """Return what is known of this visitor. Never raises for what the visitor sent."""

    @abstractmethod
    def remember(self, request: HttpRequest, response: HttpResponseBase, pins: Pins) -> None:
        """Keep `pins`, in the response or elsewhere; called only after a write, in a thread that may wait."""
