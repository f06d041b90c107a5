SELECT field, digest, shard_key, row_id FROM scalekit_db_shardlookup
WHERE model = %s
    AND (field, row_id) IN (VALUES {rows})
    AND (field, row_id, digest) NOT IN (VALUES {kept})
