"""Measure several ways to do one thing in turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import argparse
import statistics
import time

QUICK, FULL = 15, 60  # rounds


def rounds(description: str) -> int:
    """Return how many rounds the command line asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    return QUICK if parser.parse_args().quick else FULL


def compare(ways, rounds: int, calls: int) -> None:
    """Print each way's median microseconds a call, and its ratio to the first way of the same round."""
    samples = in_turns(ways, rounds, calls)
    first = next(iter(samples.values()))
    for name, times in samples.items():
        ratio = statistics.median(mine / base for mine, base in zip(times, first, strict=True))
        print(f"{name:<52}{statistics.median(times):8.1f} us{ratio:7.2f} x")


def in_turns(
    ways, rounds: int, calls: int, loop=None, clock=time.perf_counter
) -> dict[str, list[float]]:
    """Return each way's microseconds a call, by round. With an event `loop` they are coroutine functions.

    By the `clock` `time.thread_time` they are this thread's own work, whoever else has the processor meanwhile.
    """

    def sample(way, calls):
        if loop is None:
            return _sample(way, calls, clock)
        return loop.run_until_complete(_asample(way, calls))

    samples = {name: [] for name in ways}
    for way in ways.values():
        sample(way, calls)
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(sample(way, calls))
    return samples


def _sample(way, calls: int, clock) -> float:
    for _ in range(calls // 10):  # nobody pays for who went before
        way()
    begin = clock()
    for _ in range(calls):
        way()
    return (clock() - begin) / calls * 1e6


async def _asample(way, calls: int) -> float:
    for _ in range(calls // 10):
        await way()
    begin = time.perf_counter()
    for _ in range(calls):
        await way()
    return (time.perf_counter() - begin) / calls * 1e6
