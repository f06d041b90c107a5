"""What a store of sessions is. Each operation is a generator of steps, run by `finish` or `afinish`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scalekit.sessions.records import Change, Record, StoredSession
    from scalekit.sessions.steps import Steps


class Store(ABC):
    """Keeps records by name. Every operation raises `SessionStoreUnavailable` if it cannot answer."""

    uses_redis: ClassVar[bool] = False
    uses_database: ClassVar[bool] = False

    @abstractmethod
    def load(self, name: str) -> Steps[Record | None]:
        """Return the session, or None if there is none, or no longer."""

    @abstractmethod
    def exists(self, name: str) -> Steps[bool]:
        """Tell whether the name is taken."""

    @abstractmethod
    def save(self, name: str, change: Change) -> Steps[Record | None]:
        """Write what changed, and return what the store then holds, as far as it is known.

        None: refused. A session that is gone is never written again, one that is there never created.
        """

    @abstractmethod
    def delete(self, name: str, tombstone: int = 0) -> Steps[None]:
        """End the session; for `tombstone` seconds nothing may be created under its name."""

    @abstractmethod
    def has_ended(self, name: str) -> Steps[bool]:
        """Tell whether a tombstone stands there."""

    @abstractmethod
    def of_owner(self, owner: str) -> Steps[list[StoredSession]]:
        """Return the live sessions of a user, the latest first."""

    def end(self, names: Sequence[str], tombstone: int = 0) -> Steps[None]:
        """End these sessions."""
        for name in names:
            yield from self.delete(name, tombstone)

    def clear_expired(self, batch: int = 1000) -> Iterator[int]:  # noqa: ARG002 - the contract
        """Remove what has expired, at most `batch` at a time, and give the size of each batch."""
        return iter(())

    def count_expired(self) -> int:
        """Return how many expired sessions wait to be removed."""
        return 0

    @abstractmethod
    def statistics(self) -> dict[str, int | str]:
        """Return figures about the store, for people."""
