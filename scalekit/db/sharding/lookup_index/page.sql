SELECT id, digest, shard_key, row_id FROM scalekit_db_shardlookup
WHERE model = %s AND field = %s AND id > %s
ORDER BY id LIMIT %s
