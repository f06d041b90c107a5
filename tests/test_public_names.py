"""The names that users type: they may grow, and none may go."""

from __future__ import annotations

from importlib import import_module

import pytest

PUBLIC = {
    "scalekit.cache": ["MISSING", "cached"],
    "scalekit.cdn.headers": ["is_immutable"],
    "scalekit.cdn.storage": ["CdnMediaStorage", "CdnStaticFilesStorage"],
    "scalekit.core.context": ["Fact", "unit_of_work"],
    "scalekit.core.events": ["Event"],
    "scalekit.core.exceptions": ["ScalekitError"],
    "scalekit.core.middleware": ["FlowMiddleware"],
    "scalekit.db": [
        "ShardedModel",
        "SnowflakeField",
        "on_every_shard",
        "using_primary",
        "using_replica",
        "using_shard",
    ],
    "scalekit.db.backends.postgresql.base": ["DatabaseWrapper"],
    "scalekit.db.middleware": ["ReadYourWrites", "ShardSelector"],
    "scalekit.db.router": ["Router"],
    "scalekit.db.sharding.slots": ["Slots"],
    "scalekit.health.middleware": ["HealthMiddleware"],
    "scalekit.observability.logging": ["JSONFormatter"],
    "scalekit.observability.middleware": ["RequestMiddleware"],
    "scalekit.observability.urls": ["urlpatterns"],
    "scalekit.queue": ["actor", "task"],
    "scalekit.queue.backend": ["DramatiqBackend"],
    "scalekit.queue.brokers.redis": ["RedisBroker"],
    "scalekit.regions.middleware": ["RegionMiddleware"],
    "scalekit.sessions.redis": ["SessionStore"],
    "scalekit.testing.servers": ["Topology"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_stay(module):
    missing = [name for name in PUBLIC[module] if not hasattr(import_module(module), name)]
    assert missing == []
