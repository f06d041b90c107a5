SELECT hashtextextended({pk}::text COLLATE "C", 0) & {mask}, count(*), sum(hashtextextended(ROW({columns})::text COLLATE "C", 0)::numeric)
  FROM {table} GROUP BY 1
