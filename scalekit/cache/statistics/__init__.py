"""How well the cache does, by function, over all processes: what `manage.py cache_stats` shows.

`counting` counts in the process, `sharing` adds what was counted to the cache server every few seconds, in
one round trip, and `report` reads it from there.
"""
