from __future__ import annotations

import random


def backoff(retries: int, least: float, most: float) -> float:
    """Return after how many seconds to try again, `retries` retries having failed.

    Twice as long each time, plus up to as much again at random, so that jobs which failed together do not
    come back together: between `least` and `most`, both in seconds ("Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015: the variant of equal jitter).
    """
    if most <= least:
        return most
    doublings = min(retries, 64)  # 2**64 times anything is beyond every `most`
    base = max(least, min(least * 2.0**doublings, most / 2))
    return min(most, base * (1 + random.random()))  # noqa: S311 - spreads load, keeps no secret
