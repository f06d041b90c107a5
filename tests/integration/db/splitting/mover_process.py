"""A process that copies a group's tables, a few rows at a time, and says so before each step."""

from __future__ import annotations

import json
import sys

from django.conf import settings


def main():
    import django

    settings.configure(
        DATABASES=json.loads(sys.argv[1]),
        DATABASE_ROUTERS=["scalekit.db.router.Router"],
        INSTALLED_APPS=["scalekit.db", "tests.db.shop"],
        SCALEKIT_DB_SHARDING=json.loads(sys.argv[2]),
        USE_TZ=True,
    )
    django.setup()
    from scalekit.db.conf import schemes
    from scalekit.db.sharding.splitting.copying import Mover
    from scalekit.db.sharding.splitting.tables import tables_of

    mover = Mover("users", schemes["users"], tables_of("users"), "default")
    for number, _ in enumerate(mover.copy(chunk=20)):
        print(number, flush=True)  # noqa: T201 - its output is its answer


if __name__ == "__main__":
    main()
