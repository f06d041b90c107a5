"""Make the tables of a live site sharded ones: copied while they are written to, switched in a moment.

`tables` says what is copied, `capturing` keeps the changes made meanwhile, `copying` carries both over, `verifying`
compares, and `switching` hands over. See docs/howto/shard_an_existing_table.md.
"""
