"""Values that are unique across shards, as an e-mail address is: an index on `default` says which row has one.

`digests` names a value, `entries` is the table's SQL, `reserving` takes a value for a row, `claiming` does so around a
save, `finding` leads a query by a value to its shard, `rebuilding` compares the index with the rows.
"""
