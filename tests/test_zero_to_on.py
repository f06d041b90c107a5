"""Every rung installed, none configured: a request costs and looks what it did before."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

# Each in a process of its own: an app that has been loaded cannot be unloaded.
PROGRAM = """
    import sys, threading
    from django.conf import settings

    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="tests.observability.sample_site",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", *sys.argv[1:]
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        USE_TZ=True,
    )
    import django
    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    call_command("migrate", verbosity=0)
    client = Client(raise_request_exception=False)
    for path in ("/hello", "/queries", "/whoami", "/nothing", "/raises/value", "/livez", "/metrics"):
        with CaptureQueriesContext(connection) as captured:
            response = client.get(path)
        print(path, response.status_code, sorted(response.headers.items()), response.content)
        print([query["sql"] for query in captured.captured_queries])
    print(connection.execute_wrappers, sorted(thread.name for thread in threading.enumerate()))
    print(sorted({"prometheus_client", "redis", "dramatiq"} & set(sys.modules)))
"""
RUNGS = ("cache", "cdn", "db", "health", "observability", "queue", "regions", "sessions")


def told_with(*apps):
    command = [sys.executable, "-c", dedent(PROGRAM), *apps]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_installed_and_not_configured_changes_no_answer_and_no_query():
    apps = [f"scalekit.{rung}" for rung in RUNGS]
    assert told_with(*apps) == told_with()
