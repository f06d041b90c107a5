"""Which shard holds which slot: a map that lives in the database, so that settings move no rows.

`slot_map` is the value, `loading` reads it, `assigning` changes it, `staleness` notices that it has changed.
"""
