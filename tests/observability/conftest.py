from __future__ import annotations

import json
import logging

import pytest

from scalekit.observability.logging import JSONFormatter


class Lines(logging.Handler):
    """Keeps what a JSON handler would have written."""

    def __init__(self):
        super().__init__()
        self.setFormatter(JSONFormatter())
        self.raw = []

    def emit(self, record):
        self.raw.append(self.format(record))

    def of(self, logger):
        parsed = map(json.loads, self.raw)
        return [line for line in parsed if line["logger"] == logger]

    @property
    def requests(self):
        return self.of("scalekit.request")


@pytest.fixture
def lines():
    """Give every line that is logged during the test, as JSONFormatter renders it."""
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
