INSERT INTO scalekit_db_shardlookup (model, field, digest, shard_key, row_id)
VALUES {rows}
ON CONFLICT (model, field, digest) DO NOTHING
RETURNING field, digest
