SELECT given.added / given.count
FROM unnest(%s::{kind}[], %s::bigint[]) WITH ORDINALITY AS given (added, count, place)
ORDER BY given.place
