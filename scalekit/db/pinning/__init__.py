"""Who remembers that a visitor wrote: one file per memory, `base` is the contract."""
