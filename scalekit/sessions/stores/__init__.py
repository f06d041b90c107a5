"""Where sessions lie: `base` is the contract, every other file is one store."""
