"""Meters: metrics of prometheus_client whose labels take few values, whatever is put into them."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from scalekit.observability.conf import settings
from scalekit.observability.exceptions import MetricsUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "scalekit_"
OVERFLOW = "__overflow__"
MAX_LENGTH = 200  # characters of a label's value

# The buckets that OpenTelemetry recommends, so that its dashboards fit; upper bounds in seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
QUERY_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


class Meter:
    """A metric, asked for its series by label values; the value that is one too many is __overflow__."""

    def __init__(self, metric: Any, labels: Sequence[str]) -> None:
        self.name = metric._name  # noqa: SLF001 - prometheus_client has no public name
        self._metric, self._lock = metric, threading.Lock()
        self._known: list[set[str]] = [set() for _ in labels]
        self._series: dict[tuple[str, ...], Any] = {}

    def at(self, *values: object) -> Any:
        """Return the series for these label values."""
        if not self._known:
            return self._metric
        key = tuple([str(value) for value in values])
        series = self._series.get(key)
        return self._admit(key) if series is None else series

    def _admit(self, key: tuple[str, ...]) -> Any:
        with self._lock:
            admitted = tuple(map(self._bounded, self._known, key))
            series = self._metric.labels(*admitted)
            if admitted == key:
                self._series[key] = series
        if OVERFLOW in admitted and self is not overflows():
            overflows().at(self.name).inc()
        return series

    @staticmethod
    def _bounded(known: set[str], value: str) -> str:
        # A lone surrogate would make every later scrape fail.
        value = value[:MAX_LENGTH].encode("utf-8", "replace").decode()
        if value not in known:
            if len(known) >= settings.MAX_VALUES:
                return OVERFLOW
            known.add(value)
        return value


_making = threading.Lock()
_meters: dict[str, Meter] = {}


def counter(name: str, help_text: str, labels: Sequence[str] = ()) -> Meter:
    """Return the counter of this name (``scalekit_<name>_total``), made when first asked for."""
    return _meter("Counter", f"{name}_total", help_text, labels)


def histogram(name: str, help_text: str, labels: Sequence[str], buckets: Sequence[float]) -> Meter:
    """Return the histogram ``scalekit_<name>``; `buckets` are upper bounds."""
    return _meter("Histogram", name, help_text, labels, buckets=buckets)


def gauge(name: str, help_text: str) -> Meter:
    """Return the gauge ``scalekit_<name>``, summed over the processes that live."""
    return _meter("Gauge", name, help_text, (), multiprocess_mode="livesum")


def latest(name: str, help_text: str, labels: Sequence[str]) -> Meter:
    """Return the gauge ``scalekit_<name>`` of something that several processes see: the last look counts."""
    return _meter("Gauge", name, help_text, labels, multiprocess_mode="livemostrecent")


def overflows() -> Meter:
    return counter("metric_overflow", "Values that a label had no room for.", ("metric",))


def _meter(kind: str, name: str, help_text: str, labels: Sequence[str], **options: Any) -> Meter:
    meter = _meters.get(name)
    if meter is None:
        with _making:
            if name not in _meters:
                make = getattr(client(), kind)
                metric = make(PREFIX + name, help_text, tuple(labels), **options)
                _meters[name] = Meter(metric, labels)
            meter = _meters[name]
    return meter


@cache
def client() -> Any:
    """Import prometheus_client, when metrics are first needed; raises `MetricsUnavailable`."""
    try:
        import prometheus_client
    except ImportError as error:
        raise MetricsUnavailable from error
    return prometheus_client
