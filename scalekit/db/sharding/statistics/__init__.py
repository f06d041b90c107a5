"""How full the shards of a group are: `reading` asks a shard, `fullness` holds and compares what all said."""
