-- Waits for a coordinator that is just committing its decision; does nothing if there is one.
INSERT INTO scalekit_db_transactiondecision (id, "group", outcome) VALUES (%s, %s, 'rollback')
ON CONFLICT (id) DO NOTHING
