"""Figures as a table: drawn where a terminal is there, else in Markdown, as the documentation takes it."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def show(title, columns, rows):
    """Print rows of cells under their columns; the first is the row's name."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and find_spec("rich"):
        _draw(title, columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title}\n")
    for row in [columns, ["-" * width for width in widths], *cells]:
        print("| " + " | ".join(map(str.ljust, row, widths)) + " |", flush=True)


def _draw(title, columns, cells):
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in cells:
        table.add_row(*row)
    Console().print(table)
