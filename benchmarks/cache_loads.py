"""What a load is in these benchmarks: a query for an item, which is counted, takes a while or stands still.

The hook sits below every library, where the database answers. So it is the same for a decorated function and for a
library that caches querysets.
"""

from __future__ import annotations

import time
from threading import Lock

QUERY = 'FROM "cache_shop_item"'
LIMIT = 120  # seconds after which a load that stands still goes on by itself


class Loads:
    """The loads of this process."""

    def __init__(self):
        self.count, self.seconds = 0, 0.0
        self._lock, self._stop = Lock(), None

    def watch(self):
        """Follow every connection that opens from now on."""
        from django.db.backends.signals import connection_created

        connection_created.connect(self._install, weak=False)

    def stand_still(self, reached, go_on):
        """Let the next load stand still once it has its rows, from the one event to the other."""
        self._stop = reached, go_on

    def _install(self, *, connection, **_):
        if self._wrap not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._wrap)

    def _wrap(self, execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and QUERY in sql:
            self._loaded()
        return result

    def _loaded(self):
        with self._lock:
            self.count += 1
            stop, self._stop = self._stop, None
        if stop:
            stop[0].set()
            stop[1].wait(LIMIT)
        if self.seconds:
            time.sleep(self.seconds)


loads = Loads()


def price_of(key):
    """Load one item's price; None if there is no such item."""
    from benchmarks.cache_shop.models import Item

    return Item.objects.filter(pk=key).values_list("price", flat=True).first()
