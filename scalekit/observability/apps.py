from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed

from scalekit.core.apps import RungConfig


class ObservabilityConfig(RungConfig):
    name = "scalekit.observability"
    label = "scalekit_observability"
    verbose_name = "scalekit: observability"

    def ready(self) -> None:
        """Log the events that deserve a line; count if metrics are wanted."""
        super().ready()
        from scalekit.observability.receivers import write_event_lines

        write_event_lines()
        setting_changed.connect(_switch_metrics, dispatch_uid="scalekit.observability.metrics")
        _switch_metrics(setting="SCALEKIT_METRICS_TOKEN")


def _switch_metrics(*, setting: str, **_: Any) -> None:
    if setting in {"SCALEKIT_METRICS_TOKEN", "SCALEKIT_METRICS_NETWORKS"}:
        from scalekit.observability import metrics

        metrics.switch()
