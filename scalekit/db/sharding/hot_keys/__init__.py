"""Which keys of a shard group get the most traffic: `seen` counts, in little memory, where a key is resolved."""
