"""System checks of models: each row can be placed, each relation stays on its shard, what is unique is so everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.sharding.checks.declaring import faults_of_declaration
from scalekit.db.sharding.checks.ordering import faults_of_ordering
from scalekit.db.sharding.checks.relations import (
    faults_of_generic_relations,
    faults_of_pairs,
    faults_of_parents,
    faults_of_relations,
)
from scalekit.db.sharding.checks.uniqueness import faults_of_lookups, faults_of_uniqueness
from scalekit.db.sharding.models import ShardedModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage
    from django.db.models import Model


def faults_of_model(model: type[Model]) -> Iterator[CheckMessage]:
    """Return what a model declares that can never work on shards, sharded or not."""
    if issubclass(model, ShardedModel):
        faults = list(faults_of_declaration(model))
        yield from faults
        if not any(fault.is_serious() for fault in faults):
            yield from faults_of_uniqueness(model)
            yield from faults_of_lookups(model)
            yield from faults_of_generic_relations(model)
            yield from faults_of_ordering(model)
    yield from faults_of_parents(model)
    yield from faults_of_relations(model)
    yield from faults_of_pairs(model)
