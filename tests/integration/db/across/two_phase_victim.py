"""Processes that die in the middle of a two-phase commit: ``python two_phase_victim.py entries.json``.

Each line of stdin names the step at which a new one dies; each of stdout is how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import django
from django.conf import settings

PREPARE, DECIDE, COMMIT = (
    "PREPARE",
    "INSERT INTO scalekit_db_transactiondecision",
    "COMMIT PREPARED",
)
STEPS = {  # the statement, which of them, and whether it is executed
    "before the first prepare": (PREPARE, 1, False),
    "between the prepares": (PREPARE, 2, False),
    "after the prepares": (DECIDE, 1, False),
    "before the decision is committed": (DECIDE, 1, True),
    "after the decision": (COMMIT, 1, False),
    "between the commits": (COMMIT, 2, False),
}


def main(entries):
    settings.configure(
        DATABASES=entries,
        DATABASE_ROUTERS=["scalekit.db.router.Router"],
        INSTALLED_APPS=["scalekit.db", "tests.db.shop"],
        SCALEKIT_DB_SHARDING={
            "users": {
                "BACKEND": "scalekit.db.sharding.slots.Slots",
                "OPTIONS": {"shards": ["shard_0", "shard_1"]},
            }
        },
        SCALEKIT_DB_TWO_PHASE=["users"],
    )
    django.setup()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            die_at(line.strip(), entries)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def die_at(step, aliases):
    from django.db import connections

    with ExitStack() as stack:
        fate = Fate(*STEPS[step])
        for alias in aliases:
            stack.enter_context(connections[alias].execute_wrapper(fate))
        write()


class Fate:
    def __init__(self, statement, number, done):
        self.statement, self.left, self.done = statement, number, done

    def __call__(self, execute, sql, params, many, context):
        self.left -= str(sql).startswith(self.statement)
        if self.left == 0 and not self.done:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(sql, params, many, context)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def write():
    from scalekit.db import two_phase
    from scalekit.db.conf import schemes
    from tests.db.shop.models import Customer, Order

    keys = [
        next(k for k in range(500) if schemes["users"].shard_for(k) == a)
        for a in ("shard_0", "shard_1")
    ]
    with two_phase("users"):
        Customer.objects.create(name="both")
        for key in keys:
            Order.objects.create(customer_id=key, note="both")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
