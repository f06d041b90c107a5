-- Whose transactions these are: the cluster, which keeps its number through failovers, and the database in it.
SELECT (SELECT system_identifier FROM pg_control_system()), oid FROM pg_database WHERE datname = current_database()
