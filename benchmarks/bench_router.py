"""What routing costs: ns for each router call, and an ORM ``get`` with the router against one without.

The two kinds of ``get`` take turns, so that a noisy machine slows both. SQLite in memory answers: a real
server's round trip would only hide the difference.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from time import perf_counter_ns

import django
from django.conf import settings

TARGET = 3000  # ns a query
MODEL_SETTINGS = {
    "INSTALLED_APPS": ["django.contrib.contenttypes", "scalekit.db"],
    "DATABASE_ROUTERS": ["scalekit.db.router.Router"],
    "USE_TZ": True,
}


def database(**extra):
    name = "file:bench_router?mode=memory&cache=shared"
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, **extra}


def configure():
    replicas = {f"replica_{i}": database(SCALEKIT={"REPLICA_OF": "default"}) for i in range(2)}
    settings.configure(DATABASES={"default": database(), **replicas}, **MODEL_SETTINGS)
    django.setup()


def per_call(function, calls, rounds):
    """Return the nanoseconds of one call, the best of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = perf_counter_ns()
        for _ in range(calls):
            function()
        best = min(best, (perf_counter_ns() - started) / calls)
    return best


def interleaved(one, other, rounds, calls):
    """Return the median of one's time over other's, measured in turns."""
    return statistics.median(
        per_call(one, calls, 1) / per_call(other, calls, 1) for _ in range(rounds)
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the measurements")
    quick = parser.parse_args(arguments).quick
    configure()
    from django.contrib.contenttypes.models import ContentType
    from django.db import connections, router

    from scalekit.core.context import unit_of_work
    from scalekit.db.router import Router

    with connections["default"].schema_editor() as editor:
        editor.create_model(ContentType)
    ContentType.objects.bulk_create([ContentType(pk=1, app_label="a", model="b")])
    # Short rounds: the best of many is what a busy machine disturbs least.
    calls, rounds = (500, 20) if quick else (500, 400)
    ours = Router()
    rows = [
        ("db_for_write", per_call(lambda: ours.db_for_write(ContentType), calls, rounds)),
        (
            "db_for_read outside requests",
            per_call(lambda: ours.db_for_read(ContentType), calls, rounds),
        ),
    ]
    with unit_of_work():
        rows.append(
            (
                "db_for_read of a replica",
                per_call(lambda: ours.db_for_read(ContentType), calls, rounds),
            )
        )
        get = lambda: ContentType._base_manager.get(pk=1)  # noqa: E731, SLF001

        def without():
            router.routers = []
            get()

        def with_router():
            router.routers = [ours]
            get()

        without(), with_router()
        ratio = interleaved(with_router, without, 15 if quick else 60, 50)
    for name, ns in rows:
        print(f"{name:<32}{ns:>8.0f} ns")
    print(f"{'get() with router / without':<32}{ratio:>8.3f}")
    worst = max(ns for _, ns in rows)
    print(f"{'target':<32}{TARGET:>8} ns: {'met' if worst < TARGET else 'missed'}")
    connections.close_all()
    return int(worst > 2 * TARGET)  # twice the target is no noise


if __name__ == "__main__":
    sys.exit(main())
