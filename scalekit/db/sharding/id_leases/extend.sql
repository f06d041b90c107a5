UPDATE scalekit_db_idlease SET until_ms = %s WHERE number = %s AND until_ms = %s AND holder = %s
