"""How long a probe takes: with database and cache well, and with both frozen (SIGSTOP). gunicorn, milliseconds.

Beside django-health-check and dockerflow, where they are installed. `scalekit, nothing cached` runs its checks anew
for each probe, as the others do.
"""

from __future__ import annotations

import json
import statistics
import time
from importlib.util import find_spec

from benchmarks.probe_site import NEEDS, PROBES
from benchmarks.taking_turns import rounds
from scalekit.testing.servers import Topology
from tests.integration.health.fleet import Web

PATIENCE = 3.0  # seconds after which a load balancer has long given up
FROZEN = 3  # probes of each kind; one that hangs holds a thread of its server
SITES = {
    "scalekit": {},
    "scalekit, nothing cached": {"HEALTH_CACHE": "0"},
    "django-health-check": {},
    "dockerflow": {},
}


def milliseconds(web, path):
    begin = time.perf_counter()
    try:
        web.ask(path, timeout=PATIENCE)
    except OSError:
        return float("inf")
    return (time.perf_counter() - begin) * 1000


def is_installed(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def start(topology, databases, cache):
    """Start the site of each package that is installed."""
    webs = {}
    for name, extra in SITES.items():
        site = name.partition(",")[0]
        if not is_installed(NEEDS.get(site, "django")):
            continue
        given = {
            "DJANGO_SETTINGS_MODULE": "benchmarks.probe_site",
            "BENCH_SITE": site,
            "DATABASES": databases,
            "CACHE_URL": cache,
            **extra,
        }
        webs[name] = (
            Web(topology, f"web_{len(webs)}", ready=PROBES[site]["ready"], **given),
            PROBES[site],
        )
    return webs


def measure(webs, count):
    """Ask all in turns, so that what else the machine does falls on each."""
    taken = {(name, probe): [] for name, (_, probes) in webs.items() for probe in probes}
    for _ in range(count):
        for name, (web, probes) in webs.items():
            for probe, path in probes.items():
                taken[name, probe].append(milliseconds(web, path))
    return taken


def main():
    count = rounds(__doc__)
    print(__doc__)
    with Topology() as topology:
        postgres, valkey = topology.postgres(), topology.valkey()
        databases = json.dumps({"default": postgres.django_settings()})
        webs = start(topology, databases, valkey.url)
        measure(webs, 3)  # warms up
        well = measure(webs, count)
        with postgres.frozen(), valkey.frozen():
            time.sleep(2)  # until no answer from before is good any more
            frozen = measure(webs, FROZEN)
    print(f"{'':<36}{'well, median':>14}{'frozen, longest':>18}")
    for way, taken in well.items():
        print(
            f"{', '.join(way):<36}{statistics.median(taken):>14.2f}{_shown(max(frozen[way])):>18}"
        )


def _shown(taken):
    return f"over {PATIENCE * 1000:.0f}" if taken == float("inf") else f"{taken:.2f}"


if __name__ == "__main__":
    main()
