from __future__ import annotations

from abc import ABC, abstractmethod

Address = tuple[str, str]  # host and port


class Discovery(ABC):
    """Tell which server is the primary of alias `alias` now, and which replicas are fit to read from.

    Called whenever a connection is opened, by many threads; keep an answer for a second or so. Whatever
    goes wrong, no method raises anything but `PrimaryDown`.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def primary(self) -> Address | None:
        """Return the primary's address; None if nobody can be asked, and the HOST of DATABASES must do.

        Raises `PrimaryDown` where it is known that there is none at the moment.
        """

    def is_fit(self, replica: Address) -> bool:  # noqa: ARG002 - the contract's
        """Return whether a replica may be read from; True also for what is not known."""
        return True
