(
    SELECT jsonb_build_object(
        'name', this.name,
        'deterministic', known.collisdeterministic,
        -- By code point, as Python does: that is byte for byte in UTF-8, and all that the builtin provider
        -- of PostgreSQL 17 has ("Collation Support", section 23.2.2).
        'binary', known.collname IN ('C', 'POSIX', 'ucs_basic') OR known.collprovider = 'b'
            OR known.collprovider = 'd' AND (
                here.provider = 'b' OR here.provider = 'c' AND here.datcollate IN ('C', 'POSIX')
            )
    )
    FROM (SELECT pg_collation_for(%(expressions)s) AS name) AS this,
        pg_collation AS known,
        -- The column came with PostgreSQL 15; before, only libc could be the default.
        (SELECT d.*, coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider FROM pg_database AS d) AS here
    WHERE known.oid = this.name::regcollation
    AND here.datname = current_database()
)
