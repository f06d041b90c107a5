DELETE FROM scalekit_db_transactiondecision
 WHERE decided_at < now() - make_interval(days => %s) AND NOT id = ANY (%s)
