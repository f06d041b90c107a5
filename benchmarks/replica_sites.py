"""A site of `bench_replicas` in a process of its own: it does what each line of its input says.

The settings are what each package's README asks for. They share everything else: Django's WSGI handler,
persistent connections, one model, pages that read a row, write one, or time the router.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from io import BytesIO

NEEDS = {"django-multidb-router": "multidb", "django-replicated": "django_replicated"}
NAMES = ["plain Django", "scalekit", *NEEDS]
REPLICAS = ["replica_1", "replica_2"]
THREADS = 8


def installed():
    """Return the sites whose packages are here."""
    return [name for name in NAMES if find_spec(NEEDS.get(name, "django"))]


def parts(name):
    """Return what is each site's own: middleware and settings."""
    if name == "scalekit":
        router = {"DATABASE_ROUTERS": ["scalekit.db.router.Router"]}
        outage = "scalekit.db.outage.middleware.ReadOnlyMode"
        return [outage, "scalekit.db.middleware.ReadYourWrites"], router
    if name == "django-multidb-router":
        router = {"DATABASE_ROUTERS": ["multidb.PinningReplicaRouter"]}
        return ["multidb.middleware.PinningRouterMiddleware"], router | {
            "REPLICA_DATABASES": REPLICAS
        }
    if name == "django-replicated":
        from django_replicated import settings as defaults

        values = {k: getattr(defaults, k) for k in dir(defaults) if k.isupper()}
        values["REPLICATED_DATABASE_SLAVES"] = REPLICAS
        router = {"DATABASE_ROUTERS": ["django_replicated.router.ReplicationRouter"]}
        return ["django_replicated.middleware.ReplicationMiddleware"], values | router
    return [], {}


def databases(name, servers):
    """Return DATABASES of a site; `servers` has the entries, without replicas for plain Django."""
    ours = name == "scalekit"
    engine = "scalekit.db.backends.postgresql" if ours else "django.db.backends.postgresql"
    found = {a: {**entry, "ENGINE": engine, "CONN_MAX_AGE": 60} for a, entry in servers.items()}
    if name == "plain Django":
        return {"default": found["default"]}
    for alias in found if ours else ():
        if alias != "default":
            found[alias]["SCALEKIT"] = {"REPLICA_OF": "default"}
    return found


def site(name):
    """Return one site's handler."""
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    middleware, values = parts(name)
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="benchmarks.replica_pages",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"]
        + ["scalekit.db"] * (name == "scalekit"),
        MIDDLEWARE=middleware,
        DATABASES=databases(name, json.loads(os.environ["BENCH_SERVERS"])),
        SECRET_KEY="x" * 50,
        LOGGING_CONFIG=None,
        USE_TZ=True,
        **values,
    )
    django.setup()
    return WSGIHandler()


def serve(handler, path, cookies=None, method="GET"):
    """Return the status, the JSON and the cookies of one request."""
    from http.cookies import SimpleCookie

    jar = "; ".join(f"{key}={value}" for key, value in (cookies or {}).items())
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_COOKIE": jar,
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    seen = {}

    def start(status, headers):
        set_ = SimpleCookie()
        for key, value in headers:
            if key.lower() == "set-cookie":
                set_.load(value)
        seen.update(status=int(status[:3]), cookies={k: m.value for k, m in set_.items()})

    body = handler(environ, start)
    content = b"".join(body)
    body.close()
    found = json.loads(content) if content.startswith(b"{") else {}
    return seen["status"], found, {**(cookies or {}), **seen["cookies"]}


def visitors(handler, count, pause):
    """Let visitors write, come back after `pause` seconds and read; return where and what they read."""
    stale = on_replica = 0
    for _ in range(count):
        _, row, cookies = serve(handler, "/write", method="POST")
        time.sleep(pause)
        _, read, _ = serve(handler, f"/read/{row['pk']}", cookies)
        stale += not read.get("found")
        on_replica += read.get("from") in REPLICAS
    return {"stale": stale / count, "on_replica": on_replica / count}


def load(handler, path, method, rate, seconds):
    """Send requests at a fixed rate, whatever becomes of them; return begin, milliseconds and status of each."""
    begin = time.monotonic()

    def one(number):
        due = begin + number / rate
        time.sleep(max(0, due - time.monotonic()))
        status, *_ = serve(handler, path, method=method)
        return due, (time.monotonic() - due) * 1000, status

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(int(rate * seconds))))


def page(handler, path, method):
    return serve(handler, path, method=method)[1]


COMMANDS = {"visitors": visitors, "load": load, "page": page}


def main(name):
    handler = site(name)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(partial(COMMANDS[command], handler)(*arguments)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
