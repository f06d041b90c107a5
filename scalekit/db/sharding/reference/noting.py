"""Note in the transaction of a write which rows the shards have yet to be given, and bring them after it."""
# ruff: noqa: SLF001 - Django marks a TestCase's own blocks there

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from scalekit.db.sharding.reference.fanout import by_replication, shards
from scalekit.db.sharding.transactions.guarding import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db.models import Model

KEYS_PER_ROW = 1000


@contextmanager
def noting(alias: str, model: type[Model]) -> Iterator[list[Any] | None]:
    """Give a list for the keys of the rows that the block writes; None where nobody needs to know.

    The block runs in a transaction, so that what is written and the note of it are committed together. A key None
    stands for rows whose keys are not known.
    """
    if not _is_needed(alias):
        yield None
        return
    keys: list[Any] = []
    with transaction.atomic(using=alias):
        yield keys
        if keys:
            note(alias, model, None if None in keys else keys)


def note(alias: str, model: type[Model], keys: Sequence[Any] | None) -> None:
    """Note that rows have changed, all of a table if `keys` is None; for what changes them past the ORM too."""
    from scalekit.db.sharding.reference.delivering import deliver

    if not _is_needed(alias):
        return
    if _in_test_case():
        _bring_at_once(model, keys)
        return
    _insert(model, keys)
    connection = connections[alias]
    if not any(entry[1] is deliver for entry in connection.run_on_commit):
        transaction.on_commit(deliver, using=alias, robust=True)


def _is_needed(alias: str) -> bool:
    """Return whether this library carries the rows: also in a TestCase, which commits nothing for others to see."""
    if alias != DEFAULT_DB_ALIAS or not shards():
        return False
    return _in_test_case() or not by_replication()


def _in_test_case() -> bool:
    return _is_of_test(connections[DEFAULT_DB_ALIAS])


def _is_of_test(connection: Any) -> bool:
    return any(block._from_testcase for block in connection.atomic_blocks)


def _bring_at_once(model: type[Model], keys: Sequence[Any] | None) -> None:
    """Let a test see the rows on those shards that it uses."""
    from scalekit.db.sharding.reference.delivering import bring_rows

    used = [alias for alias in shards() if _is_of_test(connections[alias])]
    with joined(tuple(connections[alias] for alias in used)):
        for alias in used:
            bring_rows(alias, model, keys)


def _insert(model: type[Model], keys: Sequence[Any] | None) -> None:
    from scalekit.db.sharding.reference.ledger import ReferenceChange

    texts = None if keys is None else [_text(model, key) for key in keys]
    ReferenceChange.objects.using(DEFAULT_DB_ALIAS).bulk_create(
        ReferenceChange(shard=alias, table=model._meta.label_lower, keys=part)
        for alias in shards()
        for part in _parts(texts)
    )


def _text(model: type[Model], key: Any) -> str:
    """Return a primary key as its field writes it for fixtures, and reads it again."""
    row = model()
    setattr(row, model._meta.pk.attname, key)
    return model._meta.pk.value_to_string(row)


def _parts(keys: list[str] | None) -> Iterable[list[str] | None]:
    if keys is None:
        return [None]
    return [keys[at : at + KEYS_PER_ROW] for at in range(0, len(keys), KEYS_PER_ROW)]


def copy_everything(aliases: Iterable[str] | None = None) -> None:
    """Note every row of every reference table, in place of all that was noted before."""
    from scalekit.db.sharding.reference.fanout import reference_models
    from scalekit.db.sharding.reference.ledger import ReferenceChange

    wanted = list(shards() if aliases is None else aliases)
    with transaction.atomic(using=DEFAULT_DB_ALIAS):
        changes = ReferenceChange.objects.using(DEFAULT_DB_ALIAS)
        changes.filter(shard__in=wanted).delete()
        changes.bulk_create(
            ReferenceChange(shard=alias, table=model._meta.label_lower, keys=None)
            for alias in wanted
            for model in reference_models()
        )


def waiting(alias: str) -> int:
    """Return how many changes a shard has yet to be given."""
    from scalekit.db.sharding.reference.ledger import ReferenceChange

    return ReferenceChange.objects.using(DEFAULT_DB_ALIAS).filter(shard=alias).count()
