SELECT number, until_ms FROM scalekit_db_idlease
