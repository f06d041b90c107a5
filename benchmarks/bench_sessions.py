"""A request's use of its session (load, change one key, save) on each engine: time, round trips, and what is lost.

`--quick` takes fewer samples. Redis is a Valkey and the database a PostgreSQL, both on this machine.
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from benchmarks.session_engines import configure, engines, missing
from benchmarks.taking_turns import compare

ROUNDS, CALLS = {"quick": 4, "full": 40}, 10
RACES = {"quick": 20, "full": 200}
DATA = {
    "quick": {"small": {}},
    "full": {"small": {}, "with a 10 kB cart": {"cart": "cyanotype " * 1000}},
}
REQUESTS = 40  # at once


def new_session(engine, **data):
    session = engine()
    session.update({"_auth_user_id": "42", "_auth_user_hash": "f" * 64, "count": 0, **data})
    session.save()
    return session.session_key


def visit(engine, **data):
    """Return a request of a visitor who has a session with `data`."""
    key = new_session(engine, **data)

    def request():
        session = engine(key)
        session["count"] = session["count"] + 1
        session.save()

    return request


def round_trips(request, server):
    """Return how often one request asks Redis, and how many statements it sends to the database."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    request()
    before = server.info("stats")["total_reads_processed"]
    with CaptureQueriesContext(connection) as queries:
        request()
    return server.info("stats")["total_reads_processed"] - before - 1, len(queries)


def kept(engine):
    """Return how many keys of forty requests at once the session has afterwards, as the last response's cookie names it."""
    key, barrier = new_session(engine), threading.Barrier(REQUESTS)

    def request(number):
        session = engine(key)
        session.get("count")
        barrier.wait(30)
        session[f"key {number}"] = number
        session.save()
        return session.session_key

    cookies = in_threads(REQUESTS, request)
    after = engine(cookies[-1])
    return sum(f"key {number}" in after for number in range(REQUESTS))


def revived(engine, races):
    """Return after how many logouts the old cookie is logged in again, because another request saved at the same time."""
    barrier, keys = threading.Barrier(2), [new_session(engine) for _ in range(races)]

    def save_all(number):
        for key in keys:
            session = engine(key)
            session["count"] = session.get("count", 0) + 1
            barrier.wait(30)
            with suppress(Exception):
                session.flush() if number else session.save()

    in_threads(2, save_all)
    return sum(engine(key).get("_auth_user_id") == "42" for key in keys)


def in_threads(count, function):
    from django.db import connections

    def call(number):
        try:
            return function(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    return "quick" if parser.parse_args().quick else "full"


def main():
    size = arguments()
    import redis

    from scalekit.testing.servers import Topology

    with Topology() as topology:
        valkey, primary = topology.valkey(), topology.postgres("primary")
        configure(primary, valkey.url)
        ways = engines()
        for package in missing():
            print(f"{package} cannot be imported and is left out")
        for title, data in DATA[size].items():
            print(f"Load, change, save a session: {title}")
            visits = {name: visit(engine, **data) for name, engine in ways.items()}
            compare(visits, ROUNDS[size], CALLS)
        server = redis.Redis.from_url(valkey.url)
        print(f"{'':<30}Redis  SQL  kept of {REQUESTS}  revived of {RACES[size]}")
        for name, engine in ways.items():
            asked, queries = round_trips(visit(engine), server)
            lost = f"{kept(engine):>10}{revived(engine, RACES[size]):>16}"
            print(f"{name:<30}{asked:>5}{queries:>5}{lost}", flush=True)


if __name__ == "__main__":
    main()
