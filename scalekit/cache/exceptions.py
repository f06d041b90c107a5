from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class UncacheableArgument(ScalekitError, TypeError):
    """An argument has no value that a cache key could be made of."""


class UncacheableFunction(ScalekitError, TypeError):
    """A function cannot be cached as it is written."""


class UncacheableValue(ScalekitError, TypeError):
    """A function returned something that cannot be stored."""


class Unreadable(ScalekitError, ValueError):
    """What is stored cannot be read: damaged, forged, or written by another release."""


class SerializerMissing(ScalekitError, ImportError):
    """The package that a serializer needs is not installed."""


class TooManyLoads(ScalekitError, RuntimeError):
    """The cache is of no use just now, and the database is given no more loads than it is said to bear; try again later."""


class LoadTimedOut(ScalekitError, TimeoutError):
    """A value was not loaded within the `timeout` of its function, and there is no older one to give."""


class UnwatchedModel(ScalekitError, TypeError):
    """A function depends on a model whose writes not every process announces."""
