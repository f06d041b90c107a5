"""How the values of one function are kept. Free of Django."""

from __future__ import annotations

from dataclasses import dataclass
from random import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Policy:
    """`ttl`, `stale`, `timeout` and `error_ttl` in seconds, `jitter` a fraction of the `ttl`; None is no end."""

    function: str
    alias: str
    ttl: float | Callable[[Any], float | None] | None = 300.0
    jitter: float = 0.0
    stale: float = 0.0
    timeout: float | None = None
    cache_none: bool = True
    cache_errors: tuple[type[Exception], ...] = ()
    error_ttl: float = 5.0
    path: str = ""  # by which a task worker finds the function

    def lifetime(self, value: Any = None) -> float | None:
        """Return seconds, a random share below `ttl`, so that what was filled at once ends apart."""
        ttl = self.ttl(value) if callable(self.ttl) else self.ttl
        return None if ttl is None else ttl * (1 - self.jitter * random())  # noqa: S311 - no secret

    def keeps(self, value: Any, lifetime: float | None) -> bool:
        """Return whether `value`, with what `lifetime` gave it, is to be kept."""
        return (value is not None or self.cache_none) and (lifetime is None or lifetime > 0)

    def keeps_error(self, error: Exception) -> bool:
        return isinstance(error, self.cache_errors)

    def total_ms(self, lifetime: float | None) -> int:
        """Return how long the server keeps it: `stale` seconds more than it is fresh; 0 without end."""
        return 0 if lifetime is None else max(1, round((lifetime + self.stale) * 1000))
