"""Which path asks what. Kubernetes' and dockerflow's names stand beside our own."""

from __future__ import annotations

from enum import Enum

from scalekit.health.conf import settings


class Probe(Enum):
    """What can be asked."""

    LIVE = "live"  # does this process answer?
    SERVING = "serving"  # does it answer, and is it not on its way out?
    READY = "ready"  # may it be sent visitors?
    STARTED = "started"  # has it loaded all of the site?
    VERSION = "version"  # which release is it?


PATHS = {
    "/livez": Probe.LIVE,
    "/readyz": Probe.READY,
    "/startupz": Probe.STARTED,
    "/version": Probe.VERSION,
    # Kubernetes' examples ask /healthz for liveness; were it readiness, a slow database would restart every pod.
    "/healthz": Probe.LIVE,
    # https://github.com/mozilla-services/Dockerflow: the load balancer asks the second, which must touch no backing
    # service. The drain file is none, and the load balancer is the one who must hear of a drain.
    "/__heartbeat__": Probe.READY,
    "/__lbheartbeat__": Probe.SERVING,
    "/__version__": Probe.VERSION,
}


def probe_at(path: str) -> Probe | None:
    """Return what is asked at a path; SCALEKIT_HEALTH_PATHS comes before the paths above."""
    own = settings.PATHS
    if path in own:
        name = own[path]
        return None if name is None else Probe(name)
    return PATHS.get(path)


def all_paths() -> list[str]:
    """Return every path that is answered here."""
    return [path for path in {**PATHS, **settings.PATHS} if probe_at(path)]
