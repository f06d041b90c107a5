"""`manage.py migrate_shards` as a deploy runs it, with a migration that waits until the test lets it go on.

Called with DATABASES as JSON, the shards, and the command's arguments. On a shard whose advisory lock WAIT the
test holds, the last migration waits for it.
"""

from __future__ import annotations

import json
import signal
import sys

import django
from django.conf import settings

WAIT = 4711


def wait(alias, apps):
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [WAIT])
        cursor.execute("SELECT pg_advisory_unlock(%s)", [WAIT])


def main():
    from tests.db.databases import ROUTER, sharding
    from tests.db.diary import hooks
    from tests.db.diary_databases import APPS

    settings.configure(
        DATABASES=json.loads(sys.argv[1]),
        DATABASE_ROUTERS=ROUTER,
        INSTALLED_APPS=APPS,
        SCALEKIT_DB_SHARDING=sharding(*sys.argv[2].split(",")),
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import execute_from_command_line

    hooks.on_shards.append(wait)
    # Python leaves it ignored where the tests' own process does, as one in the background of a script.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    execute_from_command_line(["manage.py", "migrate_shards", *sys.argv[3:]])


if __name__ == "__main__":
    main()
