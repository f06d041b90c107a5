from __future__ import annotations

from scalekit.core.apps import RungConfig


class CdnConfig(RungConfig):
    name = "scalekit.cdn"
    label = "scalekit_cdn"
    verbose_name = "scalekit: CDN"
