from __future__ import annotations

from scalekit.core.apps import RungConfig


class RegionsConfig(RungConfig):
    name = "scalekit.regions"
    label = "scalekit_regions"
    verbose_name = "scalekit: regions"
