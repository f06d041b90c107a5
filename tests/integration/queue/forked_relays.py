"""Relays, each a process of its own: ``python -m tests.integration.queue.forked_relays HOW_MANY``.

They are forked once Django is set up: a busy machine takes several times as long to start each by itself.
"""

from __future__ import annotations

import os
import sys

import django
from django.core.management import call_command


def main(count):
    django.setup()
    from scalekit.queue import relaying

    list(relaying.all_duties())  # imports what all of them need
    for number in range(count):
        pid = os.fork()
        if not pid:
            os.environ["PGAPPNAME"] = f"relay-{number}"
            call_command("run_relay")
            return
        print(pid, flush=True)  # noqa: T201 - the test reads it
    for _ in range(count):
        os.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
