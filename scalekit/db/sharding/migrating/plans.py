"""What is left to migrate on a database."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from django.core.management import CommandError
from django.db import connections
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from scalekit.db.sharding.parallel import Outcome, outcomes_on_shards

if TYPE_CHECKING:
    from scalekit.db.sharding.migrating.applying import Target
    from scalekit.db.sharding.migrating.steps import Name

# Django reloads the packages of migrations each time, and importlib.reload() takes a module out of sys.modules
# for a moment, in which another thread does not find it.
loading = threading.Lock()


def plans(aliases: list[str], target: Target) -> tuple[Outcome[tuple[Name, ...]], ...]:
    """Return what `target` leaves to do on each of the databases, or why that is not known.

    Raises CommandError if there is no such target.
    """
    with loading:
        _targets(MigrationLoader(None), target)  # also imports what all threads will read
    return outcomes_on_shards(aliases, partial(plan, target=target))


def plan(alias: str, target: Target) -> tuple[Name, ...]:
    """Return the migrations that `target` would apply to a database, or take back, in order."""
    connections[
        alias
    ].ensure_connection()  # what may take its time, before others wait for this thread
    with loading:
        executor = MigrationExecutor(connections[alias])
    executor.loader.check_consistent_history(connections[alias])
    steps = executor.migration_plan(_targets(executor.loader, target))
    return tuple((migration.app_label, migration.name) for migration, _ in steps)


def _targets(loader: MigrationLoader, target: Target) -> list[tuple[str, str | None]]:
    """Understand the arguments as Django's `migrate` does, which keeps that to itself."""
    leaves: list[tuple[str, str | None]] = [*loader.graph.leaf_nodes(target.app)]
    if target.app is None:
        return leaves
    if target.app not in loader.migrated_apps:
        raise CommandError(f"There is no app {target.app!r} with migrations.")
    if target.name is None:
        return leaves
    if target.name == "zero":
        return [(target.app, None)]
    try:
        found = loader.get_migration_by_prefix(target.app, target.name)
    except AmbiguityError as error:
        raise CommandError(
            f"Several migrations of {target.app} begin with {target.name!r}."
        ) from error
    except KeyError as error:
        raise CommandError(f"No migration of {target.app} begins with {target.name!r}.") from error
    return [(target.app, found.name)]
