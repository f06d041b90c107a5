(
    SELECT jsonb_build_object(
        'name', this.name,
        'deterministic', known.collisdeterministic,
        -- Byte for byte, which in UTF-8 is the order of Unicode's code points, and so Python's.
        'binary', known.collname IN ('C', 'POSIX', 'ucs_basic', 'pg_c_utf8')
            OR known.collprovider = 'd' AND here.datcollate IN ('C', 'POSIX')
            -- The column came with PostgreSQL 15; before, only libc could be the default.
            AND coalesce(to_jsonb(here) ->> 'datlocprovider', 'c') = 'c'
    )
    FROM (SELECT pg_collation_for(%(expressions)s) AS name) AS this, pg_collation AS known, pg_database AS here
    WHERE known.oid = this.name::regcollation
    AND here.datname = current_database()
)
