"""What ends a cached value before its time: tags, and the rows that it was made of.

`base` is what the rest of the cache calls. `tags` and `models` make the names under which values end;
`statements` finds what a statement writes, `watching` sees the statements, `transactions` holds the names
until the commit.
"""
