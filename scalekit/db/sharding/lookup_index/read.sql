SELECT field, digest, shard_key, row_id FROM scalekit_db_shardlookup
WHERE model = %s AND (field, digest) IN (VALUES {values})
