from __future__ import annotations

from scalekit.core.apps import RungConfig


class HealthConfig(RungConfig):
    name = "scalekit.health"
    label = "scalekit_health"
    verbose_name = "scalekit: health"
