from __future__ import annotations

import pytest
from django.core.cache import caches

from scalekit.cache import store
from scalekit.core.events import events


@pytest.fixture(autouse=True)
def empty_cache():
    caches["default"].clear()
    store._stores.clear()
    yield
    caches["default"].clear()
    store._stores.clear()


@pytest.fixture
def heard():
    """Collect the payloads of an event: ``heard("cache_read")`` from now on."""
    undo = []

    def listen(name: str) -> list[dict]:
        payloads: list[dict] = []
        undo.append(events[name].subscribe(lambda event, payload: payloads.append(payload)))
        return payloads

    yield listen
    for end in undo:
        end()
