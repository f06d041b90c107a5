SELECT gid, extract(epoch FROM now() - prepared)::float
  FROM pg_prepared_xacts
 WHERE database = current_database() AND starts_with(gid, %s)
 ORDER BY prepared
