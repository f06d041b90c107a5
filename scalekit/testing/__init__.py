"""What scalekit gives to your own tests: real servers (`scalekit.testing.servers`) and pytest fixtures."""

from __future__ import annotations
