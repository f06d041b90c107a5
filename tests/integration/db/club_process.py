"""A process of the club: it makes ids, or takes a value and then does nothing more.

Called with DATABASES and SCALEKIT_DB_SHARDING as JSON, and what to do.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from array import array
from pathlib import Path

from django.conf import settings


def main():
    import django

    entries, groups, task, *arguments = sys.argv[1:]
    settings.configure(
        DATABASES=json.loads(entries),
        SCALEKIT_DB_SHARDING=json.loads(groups),
        SCALEKIT_DB_PROBE_SECONDS=0,
        SCALEKIT_DB_HOT_KEYS=False,
        DATABASE_ROUTERS=["scalekit.db.router.Router"],
        INSTALLED_APPS=["scalekit.db", "tests.db.club"],
        USE_TZ=True,
    )
    django.setup()
    {"claim": claim, "ids": ids}[task](*arguments)


def claim(family, email):
    """Take an address and stop before the row is written; on a line, go on."""
    from scalekit.db.conf import schemes
    from scalekit.db.sharding.lookup_index.claiming import claimed
    from tests.db.club.models import Member

    member = Member(family=int(family), email=email)
    with claimed([member], schemes["users"].shard_for(int(family))):
        say("taken")
        sys.stdin.readline()


def ids(path, count, slots):
    """Make ids of random slots, the clock set back by 5 s half-way, and a child which goes on beside; store all."""
    from scalekit.db.sharding import ids as making
    from scalekit.db.sharding.id_leases import leasing

    leasing.PATIENCE = 60  # for machines that are slow
    clock = {"back": 0}
    making.generator._clock = lambda: time.time_ns() // 1_000_000 - clock["back"]
    say("ready")
    sys.stdin.readline()
    half = int(count) // 2
    made = make(making.generator, half, int(slots))
    clock["back"] = 5000
    child = os.fork()
    if child == 0:
        del made[:]
    made.extend(make(making.generator, half, int(slots)))
    with Path(f"{path}.{os.getpid()}").open("wb") as file:
        made.tofile(file)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def make(generator, count, slots):
    return array("q", (generator.next_id(random.randrange(slots)) for _ in range(count)))


def say(text):
    print(text, flush=True)  # noqa: T201 - its output is its answer


if __name__ == "__main__":
    main()
