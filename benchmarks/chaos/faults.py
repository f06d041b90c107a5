"""What goes wrong, and when."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from benchmarks.chaos.site import kill

EVERY = 2.0  # seconds between two kills of workers
REDIS_AWAY = 2.0  # seconds


@dataclass
class Storm:
    """Faults for `seconds`: a worker killed every two, the relay `relays` times, Redis restarted `restarts` times."""

    site: object
    seconds: float
    relays: int = 5
    restarts: int = 2
    kills: int = 0
    relay_kills: int = 0
    redis_kills: int = 0

    def rage(self):
        """Return when it is over and every server is there again."""
        plan = sorted(
            [
                *((t, self.kill_a_worker) for t in every(self.seconds, self.seconds / EVERY)),
                *((t, self.kill_the_relay) for t in every(self.seconds, self.relays)),
                *((t, self.restart_redis) for t in every(self.seconds, self.restarts)),
            ],
            key=lambda entry: entry[0],
        )
        began, threads = time.monotonic(), []
        for at, fault in plan:
            time.sleep(max(0, began + at - time.monotonic()))
            threads.append(threading.Thread(target=fault))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def kill_a_worker(self):
        """Kill in turns one process that runs jobs, and a worker with all that belongs to it."""
        running = [w for w in self.site.workers if w.running]
        if not running:
            return
        worker = random.choice(running)
        self.kills += 1
        if self.kills % 2:
            kill(random.choice(self.site.processes(worker) or [worker.pid]))
        else:
            worker.kill()

    def kill_the_relay(self):
        if relays := self.site.relays():
            self.relay_kills += kill(random.choice(relays))

    def restart_redis(self):
        if self.site.peer.uses_redis:
            self.redis_kills += 1
            self.site.valkey.kill()
            time.sleep(REDIS_AWAY)
            self.site.valkey.start()
            write_always(self.site.valkey)


def every(seconds, times):
    """Return `times` moments, evenly within `seconds`."""
    times = int(times)
    return [(n + 1) * seconds / (times + 1) for n in range(times)]


def write_always(valkey):
    """Let Redis answer only once what was written lies on disk, so that nothing it confirmed may be lost."""
    valkey.command_line("CONFIG SET appendfsync always")
