"""What a queue loses: `make chaos`, or `python -m benchmarks.chaos`.

A web site commits orders, each of which enqueues one job, while workers, relay and Redis are killed. The same
for every peer: an order that is committed and whose job has had no effect at the end is a lost job.
"""

from __future__ import annotations
