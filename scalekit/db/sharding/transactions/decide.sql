INSERT INTO scalekit_db_transactiondecision (id, "group", outcome) VALUES (%s, %s, 'commit')
