"""A plain model and a sharded one with the same columns."""
