"""Databases with the tables of the queue, in files, and blocks that roll back."""

from __future__ import annotations

from contextlib import contextmanager, suppress

from django.db import transaction

from tests.db.databases import create_tables, databases, sqlite


class GoWrong(Exception):
    pass


@contextmanager
def rolled_back(using=None):
    """Give a block whose transaction, or savepoint, rolls back."""
    with suppress(GoWrong), transaction.atomic(using=using):
        yield
        raise GoWrong


@contextmanager
def queue_databases(folder, *aliases, **settings):
    """Let Django know these databases alone, each with the queue's tables."""
    entries = {alias: sqlite(folder / alias) for alias in aliases}
    with databases(entries, **{"DATABASE_ROUTERS": [], **settings}):
        create_tables(*aliases, app="scalekit_queue")
        yield
