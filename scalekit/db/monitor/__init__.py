"""What this process has seen of its servers: one background thread, one probe a second each.

`watching` holds the thread, `probing` one server's connection and probe, `judging` decides from plain
values, `sights` is what routing reads.
"""
