SELECT {pk}::text, hashtextextended(ROW({columns})::text COLLATE "C", 0)
  FROM {table} WHERE hashtextextended({pk}::text COLLATE "C", 0) & {mask} = ANY (%s)
