"""What can go wrong with a server, each in one line that says what to do."""

from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class ServerError(ScalekitError):
    """A server did not do what was asked."""


class ServerBinaryMissing(ServerError):
    """The program of a server was not found."""


class ServerDidNotStart(ServerError):
    """A server ended, or did not answer in time, while it was starting."""


class ServerTimeout(ServerError):
    """Something that a server was asked to do took too long."""


class ToolFailed(ServerError):
    """A tool that prepares a server's files ended with an error."""


class PortTaken(ServerError):
    """Another process listens on the port."""


class FolderInUse(ServerError):
    """Another topology runs in the folder."""


class FolderUnreachable(ServerError):
    """The account that PostgreSQL runs as cannot reach the folder."""


class NotEnoughDisk(ServerError):
    """The disk of the folder is too full."""
