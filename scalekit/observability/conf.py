from __future__ import annotations

from scalekit.core.conf import Setting, Settings
from scalekit.core.networks import are_networks


class MetricsSettings(Settings):
    """Metrics are counted, and served at ``/metrics``, once one of the first two is set."""

    prefix = "SCALEKIT_METRICS_"

    TOKEN = Setting[str]("", "The bearer token with which Prometheus may read /metrics.", kind=str)
    NETWORKS = Setting[list[str]](
        list,
        "Networks whose machines may read /metrics.",
        kind=(list, tuple),
        valid=are_networks,
        expected='a list of networks such as ["10.0.0.0/8"]',
    )
    MAX_VALUES = Setting[int](
        500,
        "Distinct values that each label of a metric may have; further ones become __overflow__.",
        kind=int,
        valid=lambda count: count > 0,
        expected="a number above 0",
    )


settings = MetricsSettings()


def metrics_wanted() -> bool:
    """Tell whether anyone may read metrics, and so whether they are worth counting."""
    return bool(settings.TOKEN or settings.NETWORKS)
