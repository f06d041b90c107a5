-- The rank of each text under a collation, by the server whose word on it counts. Texts that a
-- nondeterministic collation takes for equal have one rank.
SELECT given.value, dense_rank() OVER (ORDER BY given.value COLLATE {collation})
FROM unnest(%s::text[]) AS given (value)
