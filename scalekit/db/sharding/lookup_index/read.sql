SELECT digest, shard_key, row_id FROM scalekit_db_shardlookup
WHERE model = %s AND field = %s AND digest IN ({digests})
