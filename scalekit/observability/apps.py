from __future__ import annotations

from scalekit.core.apps import RungConfig


class ObservabilityConfig(RungConfig):
    name = "scalekit.observability"
    label = "scalekit_observability"
    verbose_name = "scalekit: observability"
