"""What ends the demonstration early, with one line."""

from __future__ import annotations


class DemoFailed(Exception):
    """The demonstration cannot go on; the message says why and what to do."""
