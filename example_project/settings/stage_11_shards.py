"""Photos, likes and comments spread over shards; a person's photos stay together on one."""

from .environment import postgresql, required_list
from .stage_10_logging_metrics import *

SHARDS = {
    f"shard_{number}": postgresql(url, ENGINE=ENGINE)
    for number, url in enumerate(
        required_list(
            "DATABASE_SHARD_URLS", example="postgresql://...@s0/photos,postgresql://...@s1/photos"
        )
    )
}
DATABASES |= SHARDS
SCALEKIT_DB_SHARDING = {
    "users": {
        "BACKEND": "scalekit.db.sharding.slots.Slots",
        "OPTIONS": {"shards": list(SHARDS), "slots": 4096},
    },
}
SCALEKIT_QUEUE_DATABASES = ["default", *SHARDS]  # a photo and its job are one transaction
