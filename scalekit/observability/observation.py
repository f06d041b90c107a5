"""What is known about one request when its body has gone out."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from scalekit.observability.queries import QUERIES, Tally
from scalekit.observability.receivers import CACHE_RESULTS
from scalekit.observability.redaction import redacted_path

if TYPE_CHECKING:
    from django.http import HttpRequest

    from scalekit.core.middleware import Ending

KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)
UNMATCHED = "(unmatched)"
CANCELLED = 499  # nginx's status for a client that went away before it was answered
KEY = "_scalekit_observation"
MAX_PATH = 1024  # characters


class Observation:
    """One request under observation, kept in ``request.__dict__`` until its body has gone out."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.started = perf_counter()
        self.queries = Tally()
        self.cache: dict[str, int] = {}
        self.ignored = self.in_progress = False
        self.error_type = ""  # its name: the exception would hold frames, and they the request
        self.status = 500
        self.outcome = "failed"
        self.bytes: int | None = None
        self.seconds = 0.0
        request.__dict__[KEY] = self
        QUERIES.set(self.queries)
        CACHE_RESULTS.set(self.cache)

    def end(self, status: int, ending: Ending) -> None:
        """Stop the clock."""
        self.seconds = perf_counter() - self.started
        self.status, self.outcome = status, ending.outcome
        self.bytes = 0 if self.request.method == "HEAD" else ending.bytes
        if ending.error is not None and ending.outcome == "failed":
            self.failed_with(ending.error)
        # Nothing asks any more, and the request must not wait for the garbage collector.
        self.request.__dict__.pop(KEY, None)

    def failed_with(self, error: BaseException | None) -> None:
        """Keep what kind of exception broke the request."""
        self.error_type = type(error).__name__ if error is not None else ""

    @property
    def method(self) -> str:
        """The method, or ``_OTHER`` for those that HTTP does not know, as OpenTelemetry has it."""
        method = self.request.method or ""
        return method if method in KNOWN_METHODS else "_OTHER"

    @property
    def route(self) -> str:
        """The pattern of the URL, such as ``/users/<int:pk>``: few of them, whatever is asked for."""
        match = self.request.resolver_match
        return UNMATCHED if match is None else f"/{match.route or ''}"

    @property
    def path(self) -> str:
        """The path without its query, and without what a pattern such as ``<token>`` took from it."""
        return redacted_path(self.request)[:MAX_PATH]

    def fields(self) -> dict[str, Any]:
        """Return what the log line says; queries by database, times in milliseconds."""
        by_alias = self.queries.by_alias()
        fields = {
            "method": self.method,
            "route": self.route,
            "path": self.path,
            "status": self.status,
            "outcome": self.outcome,
            "duration_ms": _ms(self.seconds),
            "bytes": self.bytes,
            "ip": self.request.META.get("REMOTE_ADDR", ""),
            "db": {alias: {"n": n, "ms": _ms(s)} for alias, (n, s) in by_alias.items()},
            "db_n": sum(n for n, _ in by_alias.values()),
            "db_ms": _ms(sum(s for _, s in by_alias.values())),
        }
        if self.cache:
            fields["cache"] = dict(self.cache)
        if self.error_type:
            fields["error_type"] = self.error_type
        user_id = _user_id(self.request)
        if user_id is not None:
            fields["user_id"] = user_id
        return fields


def observation_of(request: Any) -> Observation | None:
    """Return the observation that a request is under, if any."""
    found: Observation | None = getattr(request, "__dict__", {}).get(KEY)
    return found


def _user_id(request: HttpRequest) -> Any:
    """Return the user's key if something else has loaded the user; load nothing, for the log's sake."""
    user = request.__dict__.get("_cached_user") or request.__dict__.get("_acached_user")
    return getattr(user, "pk", None)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
