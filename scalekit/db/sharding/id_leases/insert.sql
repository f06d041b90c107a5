INSERT INTO scalekit_db_idlease (holder, until_ms, number) VALUES (%s, %s, %s)
