SELECT outcome FROM scalekit_db_transactiondecision WHERE id = %s
