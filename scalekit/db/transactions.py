"""Whether this thread has a transaction open on a database, as the code that runs in it sees that."""
# ruff: noqa: SLF001 - Django marks a TestCase's own blocks there

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_looks_through_tests = False


def is_open(connection: Any) -> bool:
    """Return whether a transaction is open: a block of `atomic()`, or autocommit switched off."""
    if connection.in_atomic_block:
        return not _looks_through_tests or _has_own_blocks(connection)
    return connection.connection is not None and not connection.autocommit


@contextmanager
def looking_through_tests() -> Iterator[None]:
    """Let the transaction in which a `TestCase` wraps each test count as none: for `scalekit.testing`."""
    global _looks_through_tests  # noqa: PLW0603 - of the process, as a test is
    before, _looks_through_tests = _looks_through_tests, True
    try:
        yield
    finally:
        _looks_through_tests = before


def _has_own_blocks(connection: Any) -> bool:
    return not all(block._from_testcase for block in connection.atomic_blocks)


def is_testing() -> bool:
    """Return whether Django's test environment is set up, in which TEST MIRROR stands for a replica.

    A mirror's connection cannot see the open transaction of a TestCase, so its primary is read instead.
    """
    utils: Any = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")
