"""A web process without a test environment: when the monitor runs, what a fork does to it, how it ends.

Called with DATABASES as JSON. Prints what it finds, one name and value a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from django.conf import settings


def threads():
    return sum(thread.name == "scalekit-db-monitor" for thread in threading.enumerate())


def tell(name, value):
    print(name, value, flush=True)  # noqa: T201 - its output is its answer


def main():
    import django

    settings.configure(
        DATABASES=json.loads(sys.argv[1]),
        DATABASE_ROUTERS=["scalekit.db.router.Router"],
        INSTALLED_APPS=["django.contrib.contenttypes", "scalekit.db"],
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.contenttypes.models import ContentType
    from django.db import connections, router

    from scalekit.core.context import unit_of_work
    from scalekit.db import using_replica
    from scalekit.db.monitor.watching import monitor

    def read():
        with unit_of_work():
            return router.db_for_read(ContentType)

    def seen():
        end = time.monotonic() + 5
        while not monitor.sight_of("replica_1").proven and time.monotonic() < end:
            time.sleep(0.01)
        return monitor.sight_of("replica_1").proven is not None

    router.db_for_read(ContentType)
    tell("outside requests", threads())
    read()
    tell("after a request's read", threads())
    tell("sees", seen())
    if (child := os.fork()) == 0:
        tell("child at first", f"{threads()} {dict(monitor.sights)}")
        read()
        tell("child after a read", f"{threads()} {seen()}")
        monitor.stop()
        os._exit(0)
    os.waitpid(child, 0)
    at = monitor.sight_of("replica_1").observed.at
    time.sleep(1.5)
    tell("parent goes on", monitor.sight_of("replica_1").observed.at > at)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scalekit monitor'"
        )
        tell("connections", cursor.fetchone()[0])
    monitor.stop()
    with using_replica():
        router.db_for_read(ContentType)
    tell("a command that asks for a replica", threads())
    connections.close_all()


if __name__ == "__main__":
    main()
