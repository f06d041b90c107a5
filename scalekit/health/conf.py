from __future__ import annotations

from scalekit.core.conf import Setting, Settings
from scalekit.core.networks import are_networks


def _is_positive(seconds: float) -> bool:
    return seconds > 0


class HealthSettings(Settings):
    prefix = "SCALEKIT_HEALTH_"

    BUDGET = Setting[float](
        1.0,
        "Seconds that all checks of one probe may take together.",
        kind=(int, float),
        valid=_is_positive,
        expected="a number of seconds above 0",
    )
    CACHE = Setting[float](
        2.0,
        "Seconds for which the result of a probe answers further probes.",
        kind=(int, float),
        valid=lambda seconds: seconds >= 0,
        expected="a number of seconds, 0 or more",
    )
    NETWORKS = Setting[list[str]](
        list,
        "Networks whose machines are told why a check failed.",
        kind=(list, tuple),
        valid=are_networks,
        expected='a list of networks such as ["10.0.0.0/8"]',
    )
    DRAIN_FILE = Setting[str](
        "",
        "While this file exists, /readyz answers 503, so that the load balancer takes this server out.",
        kind=str,
    )


settings = HealthSettings()
