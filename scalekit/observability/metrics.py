"""Metrics of every tier: the requests, the queries, and each event that any rung announces.

An event becomes the counter ``scalekit_<name>_total`` with the event's labels and, if it says how long
something took, the histogram ``scalekit_<name>_seconds``. One that tells a level becomes the gauge
``scalekit_<name>`` instead. Nothing is counted, and prometheus_client is
not imported, until SCALEKIT_METRICS_TOKEN or SCALEKIT_METRICS_NETWORKS is set.
"""

from __future__ import annotations

import logging
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from scalekit.core.events import watch_declarations
from scalekit.core.exceptions import SettingInvalid
from scalekit.observability import meters, queries
from scalekit.observability.conf import metrics_wanted
from scalekit.observability.exceptions import MetricsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.core.events import Event
    from scalekit.observability.observation import Observation

P = ParamSpec("P")
logger = logging.getLogger("scalekit.metrics")

_on = False


def switch() -> None:
    """Count from now on, or no longer, as the settings say."""
    global _on  # noqa: PLW0603 - one truth test on every hot path
    _on = _can_count()
    if _on:
        _listen()


def _can_count() -> bool:
    try:
        return metrics_wanted() and bool(meters.client())
    except (MetricsUnavailable, SettingInvalid) as error:
        logger.error("%s", error)  # noqa: TRY400 - the site runs on; no traceback says more
        return False


@cache
def _listen() -> None:
    queries.observers.append(query_finished)
    queries.count_queries()
    watch_declarations(_subscribe)


def _subscribe(event: Event) -> None:
    event.subscribe(count_event)


def _harmless(function: Callable[P, None]) -> Callable[P, None]:
    """Log what goes wrong, such as a full disk: a measurement must not break what it measures."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        if not _on:
            return
        try:
            function(*args, **kwargs)
        except Exception:
            logger.exception("%s failed", function.__name__)

    return guarded


@_harmless
def count_event(event: Event, payload: dict[str, Any]) -> None:
    """Count one event, and time it if it took time; of one that tells a level, keep that."""
    values = [payload.get(label, "") for label in event.labels]
    if event.gauge:
        level = payload.get(event.gauge)
        if level is not None:
            meters.latest(event.name, event.help, event.labels).at(*values).set(level)
        return
    meters.counter(event.name, event.help, event.labels).at(*values).inc()
    seconds = payload.get(event.seconds) if event.seconds else None
    if seconds is not None:
        name = f"{event.name}_seconds"
        meters.histogram(name, event.help, event.labels, meters.SECONDS).at(*values).observe(
            seconds
        )


@_harmless
def query_finished(alias: str, seconds: float) -> None:
    """Time one query of one database."""
    help_text = "Time of a query, as the web server saw it."
    name = "db_query_duration_seconds"
    meters.histogram(name, help_text, ("alias",), meters.QUERY_SECONDS).at(alias).observe(seconds)


@_harmless
def request_started(observation: Observation) -> None:
    """Count a request as being in progress."""
    _in_progress().inc()
    observation.in_progress = True


@_harmless
def request_left_out(observation: Observation) -> None:
    """Count a request as being in progress no longer."""
    if observation.in_progress:
        observation.in_progress = False
        _in_progress().dec()


@_harmless
def request_finished(observation: Observation) -> None:
    """Time a request, up to the end of its body."""
    request_left_out(observation)
    if not observation.ignored:
        series = _durations().at(observation.method, observation.route, observation.status)
        series.observe(observation.seconds)


def _in_progress() -> Any:
    return meters.gauge("http_requests_in_progress", "Requests being answered right now.").at()


def _durations() -> meters.Meter:
    help_text = "Time from a request's arrival to the end of its response's body."
    labels = ("method", "route", "status")
    return meters.histogram("http_request_duration_seconds", help_text, labels, meters.SECONDS)
