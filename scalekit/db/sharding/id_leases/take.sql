UPDATE scalekit_db_idlease SET holder = %s, until_ms = %s WHERE number = %s AND until_ms = %s
