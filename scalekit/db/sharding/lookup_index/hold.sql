SELECT
    pg_advisory_xact_lock_shared(%s),
    (SELECT count(pg_advisory_xact_lock(number)) FROM unnest(%s::bigint[]) AS number)
