"""The names that users type: they may grow, and none may go."""

from __future__ import annotations

from importlib import import_module

import pytest

from scalekit.core.conf import load_all_settings

TAGS = {
    "cache": ["cached"],
    "cdn": ["cdn_image", "cdn_script", "cdn_stylesheet"],
}
SETTINGS = [
    "SCALEKIT_CACHE_ALIASES",
    "SCALEKIT_CACHE_BREAKER_SECONDS",
    "SCALEKIT_CACHE_COMPRESS_ABOVE",
    "SCALEKIT_CACHE_DIGEST",
    "SCALEKIT_CACHE_HOLD_SECONDS",
    "SCALEKIT_CACHE_LOADS_WHILE_DOWN",
    "SCALEKIT_CACHE_MAX_WAIT",
    "SCALEKIT_CACHE_MODELS",
    "SCALEKIT_CACHE_OVERDUE_LOADS",
    "SCALEKIT_CACHE_REFRESH_TASKS",
    "SCALEKIT_CACHE_REFRESH_THREADS",
    "SCALEKIT_CACHE_REPLICAS",
    "SCALEKIT_CACHE_REPLICA_LAG",
    "SCALEKIT_CACHE_SERIALIZER",
    "SCALEKIT_CACHE_STATISTICS",
    "SCALEKIT_CACHE_STATISTICS_SECONDS",
    "SCALEKIT_CACHE_WAIT_WHILE_DOWN",
    "SCALEKIT_CACHE_WARMERS",
    "SCALEKIT_CDN_URL",
    "SCALEKIT_DB_BALANCER",
    "SCALEKIT_DB_HOT_KEYS",
    "SCALEKIT_DB_HOT_KEY_SECONDS",
    "SCALEKIT_DB_HOT_KEY_SHARE",
    "SCALEKIT_DB_PINNING",
    "SCALEKIT_DB_PIN_SECONDS",
    "SCALEKIT_DB_REFERENCE_FANOUT",
    "SCALEKIT_DB_REFERENCE_SOURCE",
    "SCALEKIT_DB_SHARDING",
    "SCALEKIT_DB_TWO_PHASE",
    "SCALEKIT_DB_TWO_PHASE_GRACE",
    "SCALEKIT_DB_SHARD_LOCK",
    "SCALEKIT_DB_SHARD_MAP_SECONDS",
    "SCALEKIT_DB_SHARD_SELECTOR",
    "SCALEKIT_METRICS_NETWORKS",
    "SCALEKIT_METRICS_TOKEN",
    "SCALEKIT_QUEUE_BROKER",
    "SCALEKIT_REGION",
    "SCALEKIT_SESSIONS_ABSOLUTE_SECONDS",
    "SCALEKIT_SESSIONS_PREVIOUS_ENGINE",
    "SCALEKIT_SESSIONS_REDIS_URL",
    "SCALEKIT_SESSIONS_ROLLING_SECONDS",
]
PUBLIC = {
    "scalekit.cache": [
        "MISSING",
        "aget_or_compute",
        "ainvalidate_key",
        "ainvalidate_models",
        "ainvalidate_tags",
        "cached",
        "cached_method",
        "cached_view",
        "get_or_compute",
        "invalidate_key",
        "invalidate_models",
        "invalidate_tags",
    ],
    "scalekit.cache.backends.cluster": ["ClusterCache"],
    "scalekit.cache.backends.failover": ["FailoverCache"],
    "scalekit.cache.backends.tiered": ["TieredCache"],
    "scalekit.cache.queryset": ["CachedQuerySet"],
    "scalekit.cache.serializers.base": ["Serializer"],
    "scalekit.cdn.headers": ["is_immutable"],
    "scalekit.cdn.middleware": ["MissingAssetMiddleware"],
    "scalekit.cdn.storage": ["CdnMediaStorage", "CdnStaticFilesStorage"],
    "scalekit.core.context": ["Fact", "unit_of_work"],
    "scalekit.core.events": ["Event"],
    "scalekit.core.exceptions": ["ScalekitError"],
    "scalekit.core.middleware": ["FlowMiddleware"],
    "scalekit.db": [
        "LooseForeignKey",
        "ReferenceModel",
        "ShardedModel",
        "SnowflakeField",
        "UUIDv7Field",
        "on_every_shard",
        "shard_atomic",
        "two_phase",
        "using_primary",
        "using_replica",
        "using_shard",
    ],
    "scalekit.db.backends.postgresql.base": ["DatabaseWrapper"],
    "scalekit.db.middleware": ["ReadYourWrites", "ShardSelector"],
    "scalekit.db.router": ["Router"],
    "scalekit.db.sharding.directory": ["Directory"],
    "scalekit.db.sharding.jump": ["Jump"],
    "scalekit.db.sharding.mapping.assigning": ["assign_key", "assign_slots", "split_range"],
    "scalekit.db.sharding.modulo": ["Modulo"],
    "scalekit.db.sharding.ranges": ["Ranges"],
    "scalekit.db.sharding.resolvers.header": ["HeaderResolver"],
    "scalekit.db.sharding.resolvers.path": ["PathResolver"],
    "scalekit.db.sharding.resolvers.subdomain": ["SubdomainResolver"],
    "scalekit.db.sharding.resolvers.user": ["UserResolver"],
    "scalekit.db.sharding.ring": ["Ring"],
    "scalekit.db.sharding.slots": ["Slots"],
    "scalekit.health.base": ["Check"],
    "scalekit.health.middleware": ["HealthMiddleware"],
    "scalekit.observability.logging": ["JSONFormatter"],
    "scalekit.observability.middleware": ["RequestMiddleware"],
    "scalekit.observability.urls": ["urlpatterns"],
    "scalekit.queue": [
        "actor",
        "cancel",
        "enqueue_many",
        "get_group",
        "group",
        "once",
        "pipeline",
        "progress_of",
        "report_progress",
        "step",
        "task",
    ],
    "scalekit.queue.backend": ["DramatiqBackend"],
    "scalekit.queue.brokers.redis": ["RedisBroker"],
    "scalekit.regions.facts": ["REGION"],
    "scalekit.regions.middleware": ["RegionMiddleware"],
    "scalekit.sessions": [
        "EngineUnsupported",
        "SessionStoreUnavailable",
        "SessionTooLarge",
        "StoredSession",
        "logout_everywhere",
        "sessions_of",
    ],
    "scalekit.sessions.database": ["SessionStore"],
    "scalekit.sessions.hybrid": ["SessionStore"],
    "scalekit.sessions.middleware": ["SessionMiddleware"],
    "scalekit.sessions.redis": ["SessionStore"],
    "scalekit.testing.cache": [
        "assert_cached",
        "assert_hits",
        "assert_loads",
        "assert_not_cached",
        "cache_reads",
        "fake_clock",
        "fresh_cache",
        "settle",
    ],
    "scalekit.testing.queue": [
        "CapturedJob",
        "CapturedJobs",
        "JobsDoNotEnd",
        "QueueUntestable",
        "RanJob",
        "arun_jobs",
        "assert_enqueued",
        "captured_jobs",
        "run_jobs",
        "running_worker",
    ],
    "scalekit.testing.servers": ["Topology"],
    "scalekit.testing.sharding": ["ShardingSchemeContract"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_stay(module):
    missing = [name for name in PUBLIC[module] if not hasattr(import_module(module), name)]
    assert missing == []


def test_settings_stay():
    assert set(SETTINGS) <= set(load_all_settings())


@pytest.mark.parametrize("rung", TAGS)
def test_template_tags_stay(rung):
    register = import_module(f"scalekit.{rung}.templatetags.scalekit_{rung}").register
    assert set(TAGS[rung]) <= set(register.tags)
