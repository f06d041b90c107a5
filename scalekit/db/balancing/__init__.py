"""Which replica: one file per way to choose, `base` is the contract."""
