"""How often and how many at a time: rate limits and concurrency limits, declared on the task.

    @task(rate_limit="10/s")                          evenly spaced, over all workers
    @task(rate_limit="1000/h burst 50")               up to 50 at once after a pause
    @task(concurrency=5)                              at most 5 at the same time
    @task(concurrency=1, limit_by="account_id")       a limit for each value of an argument
    @task(rate_limit="100/m", limit_name="stripe")    one limit for every task with this name

The state of all limits lies in the first database of SCALEKIT_QUEUE_DATABASES. A job over its limit is
postponed, which burns none of its attempts.
"""

from __future__ import annotations

from scalekit.queue.limits.declared import OPTIONS, Limits, Rate, flaws_of, limits_of

__all__ = ["OPTIONS", "Limits", "Rate", "flaws_of", "limits_of"]
