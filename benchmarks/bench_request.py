"""What observing a request costs: Django's WSGI handler, an empty view, each site in a process of its own."""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from io import BytesIO

from benchmarks.taking_turns import rounds

CALLS = 200  # a round
NOISE = 1.10  # the most by which two measurements of one thing differ here
RUNGS = ("cache", "cdn", "db", "health", "observability", "queue", "regions", "sessions")
SCALEKIT = [f"scalekit.{rung}" for rung in RUNGS]
REQUEST = "scalekit.observability.middleware.RequestMiddleware"
SITES = {
    "bare Django": {},
    "every rung installed, none configured": {"apps": SCALEKIT},
    "RequestMiddleware: JSON line": {"apps": SCALEKIT, "middleware": [REQUEST]},
    "RequestMiddleware: JSON line, metrics": {
        "apps": SCALEKIT,
        "middleware": [REQUEST],
        "settings": {"SCALEKIT_METRICS_NETWORKS": ["127.0.0.0/8"]},
    },
    "django-structlog: two JSON lines": {
        "needs": "django_structlog",
        "apps": ["django_structlog"],
        "middleware": ["django_structlog.middlewares.RequestMiddleware"],
    },
    "django-prometheus: metrics": {
        "needs": "django_prometheus",
        "apps": ["django_prometheus"],
        "middleware": [
            "django_prometheus.middleware.PrometheusBeforeMiddleware",
            "django_prometheus.middleware.PrometheusAfterMiddleware",
        ],
    },
    "django-structlog and django-prometheus": {
        "needs": "django_prometheus",
        "apps": ["django_structlog", "django_prometheus"],
        "middleware": [
            "django_prometheus.middleware.PrometheusBeforeMiddleware",
            "django_structlog.middlewares.RequestMiddleware",
            "django_prometheus.middleware.PrometheusAfterMiddleware",
        ],
    },
}


def site(name):
    """Return one site's handler."""
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    parts = SITES[name]
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="benchmarks.bench_request",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            *parts.get("apps", ()),
        ],
        MIDDLEWARE=[
            *parts.get("middleware", ()),
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SECRET_KEY="x" * 50,
        USE_TZ=True,
        **parts.get("settings", {}),
    )
    django.setup()
    _log_to_nowhere(name)
    return WSGIHandler()


def _log_to_nowhere(name):
    handler = logging.FileHandler(os.devnull)
    if "structlog" in name:
        import structlog

        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer())
        )
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=True,
        )
    elif "JSON" in name:
        from scalekit.observability.logging import JSONFormatter

        handler.setFormatter(JSONFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def serve(handler):
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/photos/7",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": BytesIO(),
        "wsgi.url_scheme": "http",
    }
    body = handler(environ, lambda *_: None)
    b"".join(body)
    body.close()


def work(name):
    """Serve as many requests as each line of the input says; answer with microseconds a request."""
    handler = site(name)
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            serve(handler)
        print((time.perf_counter() - begin) / int(line) * 1e6, flush=True)


class Worker:
    def __init__(self, name):
        command = [sys.executable, "-m", "benchmarks.bench_request", "--site", name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(command, **pipes)

    def measure(self):
        self.process.stdin.write(f"{CALLS}\n")
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def main():
    count = rounds(__doc__)
    print(__doc__)
    names = [name for name, parts in SITES.items() if find_spec(parts.get("needs", "django"))]
    workers = {name: Worker(name) for name in names}
    try:
        samples = {name: [] for name in names}
        for round_number in range(count + 1):  # the first warms up
            for name, worker in workers.items():
                microseconds = worker.measure()
                if round_number:
                    samples[name].append(microseconds)
    finally:
        for worker in workers.values():
            worker.end()
    ratios = _print(samples)
    if ratios[names[1]] > NOISE:
        sys.exit(f"Rungs that are only installed cost time: {ratios[names[1]]:.2f} x bare Django.")


def _print(samples):
    bare = samples["bare Django"]
    ratios = {}
    for name, times in samples.items():
        pairs = list(zip(times, bare, strict=True))
        ratios[name] = statistics.median(mine / base for mine, base in pairs)
        added = statistics.median(mine - base for mine, base in pairs)
        print(f"{name:<44}{statistics.median(times):8.1f} us{ratios[name]:7.2f} x{added:+8.1f} us")
    return ratios


def photo(request, pk):  # noqa: ARG001 - a view
    from django.http import HttpResponse

    return HttpResponse("x" * 1000)


def __getattr__(name):
    if name == "urlpatterns":  # only the sites' processes need Django
        from django.urls import path

        return [path("photos/<int:pk>", photo)]
    raise AttributeError(name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--site"]:
        sys.modules["benchmarks.bench_request"] = sys.modules["__main__"]
        work(sys.argv[2])
    else:
        main()
