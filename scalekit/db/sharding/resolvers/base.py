from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scalekit.db.sharding.keys import ShardKey


class ShardResolver(ABC):
    """Finds the key of one shard group in a request.

    It says where to look, not what the visitor may see: that is for the view to decide.
    """

    visitors_choose = False
    """Whether the key is whatever a visitor has typed, so that one without a shard is a 404 and no fault of ours."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def resolve(self, request: HttpRequest) -> ShardKey | None:
        """Return the key, None if the request names none. Called once, by the first query that needs it."""


def text_option(name: str, value: object, example: str) -> str:
    """Return an option that must be text. Raises `ValueError`."""
    if not isinstance(value, str) or not value.strip("."):
        msg = f'{name} is {value!r}; write text, as in "{example}"'
        raise ValueError(msg)
    return value
