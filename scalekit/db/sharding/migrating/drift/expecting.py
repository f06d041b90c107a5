"""What a database would have if the models had made its tables just now."""
# ruff: noqa: SLF001 - _meta is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.utils import load_backend

from scalekit.db.sharding.migrating.drift.reading import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

    from scalekit.db.sharding.migrating.drift.comparing import Traits

SCHEMA = "scalekit_models"  # made and rolled back in one transaction, which nobody else sees


def models_of(alias: str) -> list[type[Model]]:
    """Return the models that have a table on a database, those of many-to-many pairs included."""
    connection = connections[alias]
    return [
        model
        for config in apps.get_app_configs()
        for model in router.get_migratable_models(config, alias, include_auto_created=True)
        if model._meta.can_migrate(connection)
    ]


def tables_of(models: Sequence[type[Model]]) -> frozenset[str]:
    return frozenset(model._meta.db_table for model in models)


def expected_on(alias: str, models: Sequence[type[Model]]) -> Traits | None:
    """Return what the models would make on a server like this one; None where that cannot be tried.

    The server itself is asked, since it alone knows all the ways to write a type. On PostgreSQL that is done
    in a schema of its own, inside a transaction that is rolled back.
    """
    connection: Any = connections[alias]
    if connection.vendor == "postgresql":
        return _in_a_schema(connection, models)
    if connection.vendor == "sqlite":
        return _in_memory(connection, models)
    return None


def _in_a_schema(connection: Any, models: Sequence[type[Model]]) -> Traits:
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('search_path')")
            path = cursor.fetchone()[0]
            cursor.execute(f"CREATE SCHEMA {SCHEMA}")
            cursor.execute("SELECT set_config('search_path', %s, true)", [f"{SCHEMA}, {path}"])
        _create(connection, models)
        found = read(connection, tables_of(models))
        transaction.set_rollback(True, using=connection.alias)
    return found


def _in_memory(connection: Any, models: Sequence[type[Model]]) -> Traits:
    settings = {**connection.settings_dict, "NAME": ":memory:"}
    made = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, connection.alias)
    try:
        _create(made, models, atomic=False)
        return read(made, tables_of(models))
    finally:
        made.connection.close()  # close() of the wrapper keeps one in memory open


def _create(connection: Any, models: Sequence[type[Model]], *, atomic: bool = True) -> None:
    with connection.schema_editor(atomic=atomic) as editor:
        for model in models:
            if not model._meta.auto_created:  # which is made with the model that has the pairs
                editor.create_model(model)
