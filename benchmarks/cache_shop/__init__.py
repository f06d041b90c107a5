"""The little shop whose pages the cache benchmarks keep."""

from __future__ import annotations
