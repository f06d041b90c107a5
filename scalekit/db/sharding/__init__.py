"""Which shard: `base` is the contract of schemes; models, queries, ids and scatter stand beside it."""
