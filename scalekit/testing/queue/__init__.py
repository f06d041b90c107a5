"""For the tests of a project that enqueues jobs."""

from __future__ import annotations
