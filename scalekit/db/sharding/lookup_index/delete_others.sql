DELETE FROM scalekit_db_shardlookup
WHERE model = %s AND field = %s AND row_id = %s AND digest <> %s
