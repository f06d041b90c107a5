"""A web process that writes orders without a pause while their table is split; it never hears of that.

Called with DATABASES and SCALEKIT_DB_SHARDING as JSON. Ends when its input closes, and prints what must be
there then: {id: items}.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

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
    from tests.db.shop.models import Order

    expected = {}
    number = 0
    print("writing", flush=True)  # noqa: T201 - its output is its answer
    while not select.select([sys.stdin], [], [], 0)[0]:
        number += 1
        time.sleep(0.005)  # the copying is to be seen at work, not a race for two cores
        order = Order.objects.create(
            customer_id=number % 50, note=f"{os.getpid()}-{number}", items=0
        )
        Order.objects.filter(pk=order.pk, customer_id=order.customer_id).update(items=number)
        assert Order.objects.get(pk=order.pk, customer_id=order.customer_id).items == number
        if number % 5:
            expected[order.pk] = number
        else:
            order.delete()
    print(json.dumps(expected), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
