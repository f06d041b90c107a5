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
    for name, median, ratio in measured(ways, rounds, calls):
        print(f"{name:<52}{median:8.1f} us{ratio:7.2f} x")


def measured(ways, rounds: int, calls: int, loop=None) -> list[tuple[str, float, float]]:
    """Return what `compare` prints. With an event `loop` the ways are coroutine functions."""
    sample = _sample if loop is None else lambda *way: loop.run_until_complete(_asample(*way))
    samples = {name: [] for name in ways}
    for way in ways.values():
        sample(way, calls)
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(sample(way, calls))
    first = next(iter(samples.values()))
    return [
        (name, statistics.median(times), _ratio(times, first)) for name, times in samples.items()
    ]


def _ratio(times, first) -> float:
    return statistics.median(mine / base for mine, base in zip(times, first, strict=True))


def _sample(way, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - begin) / calls * 1e6


async def _asample(way, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        await way()
    return (time.perf_counter() - begin) / calls * 1e6
