"""While a primary is down: who needs it is told at once, everybody else goes on reading.

    MIDDLEWARE = ["scalekit.db.outage.middleware.ReadOnlyMode", ...]      # outermost of all that write

`state` knows which primaries are down, `probing` notices when they are back. Page: docs/howto/fail_over.md.
"""
