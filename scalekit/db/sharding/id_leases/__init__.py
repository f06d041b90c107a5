"""Which numbers processes make their ids with: `leasing` takes one, `models` is the table of them."""
