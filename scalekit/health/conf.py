from __future__ import annotations

from typing import Any

from scalekit.core.conf import Setting, Settings
from scalekit.core.networks import are_networks

PROBES = ("live", "serving", "ready", "started", "version")


def _is_positive(seconds: float) -> bool:
    return seconds > 0


def _are_paths(paths: dict[Any, Any]) -> bool:
    begin_well = all(isinstance(path, str) and path.startswith("/") for path in paths)
    return begin_well and all(probe is None or probe in PROBES for probe in paths.values())


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
        "Networks whose machines are told the checks' names and why one failed.",
        kind=(list, tuple),
        valid=are_networks,
        expected='a list of networks such as ["10.0.0.0/8"]',
    )
    TOKEN = Setting[str](
        "", "The bearer token with which anyone is told what NETWORKS are told.", kind=str
    )
    DRAIN_FILE = Setting[str](
        "",
        "While this file exists, /readyz answers 503, so that the load balancer takes this server out.",
        kind=str,
    )
    VERSION = Setting[str | dict[str, Any]](
        "",
        "What /version says: a dictionary, or the path of a JSON file that holds one (read once).",
        kind=(str, dict),
        example={"version": "1.4.0", "commit": "0c2f6f1"},
    )
    PATHS = Setting[dict[str, Any]](
        dict,
        "Paths beside the built-in ones and what they ask; None gives a built-in one back to the site.",
        kind=dict,
        valid=_are_paths,
        expected='paths with one of "live", "serving", "ready", "started", "version" or None',
        example={"/ping": "live", "/version": None},
    )


settings = HealthSettings()
