"""Who knows where a primary is: one file per way to know it, `base` is the contract."""
