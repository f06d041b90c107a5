"""Migrations over many databases: which shard lacks what, who runs it, what became of it.

`plans` says what is left, `running` does it for several shards at once, `ledger` remembers, `drift` compares
what the databases have; `current` keeps a data migration on the database it migrates.
"""
