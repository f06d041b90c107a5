from __future__ import annotations

import pytest
from django.db import connections

from scalekit.db.sharding.migrating.drift.comparing import (
    COLUMN,
    DEFAULT,
    INDEX,
    TABLE,
    Trait,
    differences,
)
from tests.db.diary_databases import diary, on_sqlite, run

SHARDS = ("shard_0", "shard_1")


def having(**columns):
    return frozenset(
        {Trait("t", TABLE, "t", "t"), *(Trait("t", COLUMN, *item) for item in columns.items())}
    )


def index(definition):
    return frozenset({Trait("t", INDEX, "", definition)})


@pytest.mark.parametrize(
    ("found", "models", "lines"),
    [
        ([having(a="int"), having(a="int")], having(a="int"), []),
        ([having(a="int"), having(a="int")], None, []),
        (
            [having(a="int"), having(a="text")],
            None,
            ["t, column a: int on s0; text on s1"],
        ),
        (
            [having(a="int"), having(a="int")],
            having(a="text"),
            ["t, column a: int on s0, s1; in the models text"],
        ),
        (
            [having(a="int", b="int"), having(a="int")],
            having(a="int", b="int"),
            ["t, column b: int on s0; missing on s1; in the models int"],
        ),
        (
            [having(a="int"), having(a="int")],
            having(),
            ["t, column a: int on s0, s1; not in the models"],
        ),
        ([having(), frozenset()], having(), ["t: there on s0; missing on s1"]),
        ([having(a="int"), frozenset()], having(a="int"), ["t: there on s0; missing on s1"]),
        ([index("i"), index("i")], frozenset(), []),
        ([having() | index("i"), having()], having(), ["t, index i: there on s0; missing on s1"]),
        (
            [having(), having()],
            having() | index("i"),
            ["t, index i: missing on s0, s1; in the models there"],
        ),
        (
            [
                having() | {Trait("t", DEFAULT, "a", "1")},
                having() | {Trait("t", DEFAULT, "a", "2")},
            ],
            having(),
            ["t, default of column a: 1 on s0; 2 on s1"],
        ),
        (
            [having() | {Trait("t", DEFAULT, "a", "1")}] * 2,
            having() | {Trait("t", DEFAULT, "a", "2")},
            [],
        ),
    ],
)
def test_what_counts_as_drift(found, models, lines):
    shards = {f"s{number}": traits for number, traits in enumerate(found)}
    assert differences(shards, models) == lines


@pytest.fixture
def migrated(tmp_path):
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS):
        run("migrate_shards")
        yield


def execute(alias, sql):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def test_what_the_migrations_made_is_no_drift(migrated):
    assert run("migrate_shards", check=True).splitlines() == [
        "shard_0: nothing to do",
        "shard_1: nothing to do",
    ]


def test_changes_by_hand_are_named_with_their_shard(migrated, capsys):
    execute("shard_1", "ALTER TABLE diary_entry ADD COLUMN mood text")
    execute("shard_1", "DROP INDEX entry_of_writer")
    execute("shard_1", "DROP TABLE diary_sticker")
    with pytest.raises(SystemExit):
        run("migrate_shards", check=True, stdout=None)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "diary_entry, column mood: missing on shard_0; TEXT on shard_1; not in the models",
        "diary_entry, index index (writer_id, id DESC): there on shard_0; missing on shard_1",
        "diary_sticker: there on shard_0; missing on shard_1",
    ]


def test_part_of_the_migrations_is_checked_without_the_models_that_the_rest_will_change(tmp_path):
    with diary(on_sqlite(tmp_path, *SHARDS), SHARDS):
        run("migrate_shards", "diary", "0001")
        assert "nothing to do" in run("migrate_shards", "diary", "0001", check=True)
