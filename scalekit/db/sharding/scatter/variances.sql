SELECT CASE WHEN given.n * given.x2 > given.x * given.x
    THEN (given.n * given.x2 - given.x * given.x) / (given.n * (given.n - %(off)s::numeric))
    ELSE 0 END
FROM unnest(%(n)s::numeric[], %(x)s::numeric[], %(x2)s::numeric[])
    WITH ORDINALITY AS given (n, x, x2, place)
ORDER BY given.place
