"""Compare what databases have. Pure: values in, lines out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE, COLUMN, DEFAULT, CONSTRAINT, INDEX = (
    "table",
    "column",
    "default of column",
    "constraint",
    "index",
)

Subject = tuple[str, str, str]


@dataclass(frozen=True, slots=True, order=True)
class Trait:
    """One thing that a table has.

    `name` is that of a column; empty for an index or a constraint, which are the same by what they do and not by
    their names: a name may stem from a migration that another shard never ran.
    """

    table: str
    kind: str
    name: str
    definition: str

    @property
    def subject(self) -> Subject:
        """What is looked for on every shard."""
        return self.table, self.kind, self.name or self.definition


Traits = frozenset[Trait]


def differences(found: Mapping[str, Traits], expected: Traits | None) -> list[str]:
    """Return a line for all that is not the same on every shard or, where those are known, in the models.

    What a migration has added to the models' columns by its own SQL is no difference from them: an index, a
    constraint, a default. Shards must agree on it all the same.
    """
    everything = [*found.values(), expected or frozenset()]
    subjects = {trait.subject for traits in everything for trait in traits}
    shards = {alias: _definitions(traits) for alias, traits in found.items()}
    models = None if expected is None else _definitions(expected)
    return [line for subject in sorted(subjects) if (line := _line(subject, shards, models))]


def _definitions(traits: Traits) -> dict[Subject, str]:
    return {trait.subject: trait.definition for trait in traits}


def _line(
    subject: Subject,
    shards: Mapping[str, Mapping[Subject, str]],
    models: Mapping[Subject, str] | None,
) -> str:
    """Return what differs in one subject, or nothing."""
    table, kind, name = subject
    on: dict[str | None, list[str]] = {}
    for alias, definitions in shards.items():
        if kind == TABLE or (table, TABLE, table) in definitions:
            on.setdefault(definitions.get(subject), []).append(alias)
    wanted = None if models is None else models.get(subject)
    as_in_models = models is None or not _must_match(kind, wanted) or on.keys() <= {wanted}
    if len(on) <= 1 and as_in_models:
        return ""
    parts = [
        f"{_shown(definition, name)} on {', '.join(aliases)}" for definition, aliases in on.items()
    ]
    if not as_in_models and (wanted != name or wanted not in on):
        parts.append(
            "not in the models" if wanted is None else f"in the models {_shown(wanted, name)}"
        )
    return f"{table}{'' if kind == TABLE else f', {kind} {name}'}: {'; '.join(parts)}"


def _must_match(kind: str, wanted: str | None) -> bool:
    return kind in {TABLE, COLUMN} or (kind != DEFAULT and wanted is not None)


def _shown(definition: str | None, name: str) -> str:
    if definition is None:
        return "missing"
    return "there" if definition == name else definition
