DELETE FROM scalekit_db_shardlookup
WHERE model = %s AND field = %s AND digest = %s AND shard_key = %s AND row_id = %s
