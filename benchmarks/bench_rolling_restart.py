"""What a rolling restart of two web servers costs under load: drained first, and by plain SIGTERM for contrast.

8 visitors send GET and POST in turn through a load balancer while one server after the other is restarted. The
configurations are those of the documentation.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from benchmarks.taking_turns import QUICK, rounds
from scalekit.testing.servers import Topology
from tests.integration.health.fleet import KINDS, HAProxy, NginxFree, Web
from tests.integration.health.load import Visitors

RESTARTS = 10  # five of each of the two servers
RESTARTS_QUICK = 2


def drained(balancer, number, web):
    web.drain_file.touch()
    balancer.wait(number, "DOWN")
    web.process.stop()
    web.drain_file.unlink(missing_ok=True)
    web.process.start()
    balancer.wait(number, "UP")


def plain(balancer, number, web):
    web.process.restart()
    balancer.wait(number, "UP")


def by_script(balancer, _, web):
    """Let the sample's script wait in the middle while we restart the process, which is ours to restart."""
    begun, done = (web.drain_file.with_suffix(suffix) for suffix in (".begun", ".done"))
    for file in (begun, done):
        file.unlink(missing_ok=True)
    waiting = f"touch {begun}; while [ ! -e {done} ]; do sleep 0.05; done"
    with ThreadPoolExecutor(1) as pool:
        script = pool.submit(balancer.restart, web, waiting)
        web.process.waits.until(begun.exists, "the script to take the server out", 30)
        web.process.restart()
        done.touch()
        script.result(60)


def plain_nginx(_, __, web):
    web.process.restart()
    time.sleep(
        3
    )  # until nginx asks it again (fail_timeout): else both would be out, which is another experiment


WAYS = {
    **{f"{kind}, HAProxy, drained": (kind, HAProxy, drained) for kind in KINDS},
    **{f"{kind}, HAProxy, plain SIGTERM": (kind, HAProxy, plain) for kind in KINDS},
    "gunicorn, nginx, taken out by the script": ("gunicorn", NginxFree, by_script),
    "gunicorn, nginx, plain SIGTERM": ("gunicorn", NginxFree, plain_nginx),
}


def measure(kind, kind_of_balancer, restart, count):
    """Return the requests sent, and how many failed in which way."""
    with Topology() as topology:
        webs = [Web(topology, f"web_{number}", kind) for number in (1, 2)]
        balancer = kind_of_balancer(topology, webs)
        keep_alive = kind_of_balancer is HAProxy
        with Visitors(balancer.port, keep_alive=keep_alive).asking() as visitors:
            for number in range(count):
                restart(balancer, number % 2 + 1, webs[number % 2])
    return visitors.sent, Counter(visitors.failed)


def main():
    count = RESTARTS_QUICK if rounds(__doc__) == QUICK else RESTARTS
    print(__doc__)
    print(f"{count} restarts each{'':<30}{'requests':>10}{'failed':>8}")
    broken = []
    for name, way in WAYS.items():
        sent, failed = measure(*way, count)
        how = ", ".join(f"{number} x {what}" for what, number in failed.most_common())
        print(f"{name:<45}{sent:>10}{failed.total():>8}  {how}", flush=True)
        if failed and "plain" not in name:
            broken.append(name)
    if broken:
        sys.exit(f"A restart that should cost no request did: {', '.join(broken)}.")


if __name__ == "__main__":
    main()
