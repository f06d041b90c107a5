"""What a statement writes, found in its text."""

from __future__ import annotations

import pytest

from scalekit.cache.invalidation.statements import writes_of


def written(sql):
    return [write.table for write in writes_of(sql)]


def rows(sql, *params):
    """Return the values of the rows that the one write in `sql` names, by column."""
    (write,) = writes_of(sql)
    return {
        column: [value for slot in slots for value in slot.values(params)]
        for column, slots in write.rows.items()
    }


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ('INSERT INTO "shop_photo" ("a") VALUES (%s)', ["shop_photo"]),
        ("insert into shop_photo default values", ["shop_photo"]),
        ("INSERT OR IGNORE INTO t (a) VALUES (1)", ["t"]),
        ("REPLACE INTO `t` VALUES (1)", ["t"]),
        ('UPDATE "app"."Photo" SET a = 1', ["photo"]),
        ("UPDATE ONLY p AS q SET a = 1", ["p"]),
        ("UPDATE a, b SET a.x = b.x", ["a", "b"]),
        ("UPDATE a JOIN b ON a.x = b.x SET a.y = 1", ["a", "b"]),
        ("DELETE FROM t WHERE a IN (SELECT b FROM c)", ["t"]),
        ("/* why /* nested */ */ -- and\n DELETE FROM t", ["t"]),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 1", ["t"]),
        ("TRUNCATE TABLE a, ONLY b RESTART IDENTITY", ["a", "b"]),
        ("COPY s.t (a, b) FROM STDIN", ["t"]),
        ("LOAD DATA INFILE 'x' INTO TABLE t", ["t"]),
        ("WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x", ["a", "b"]),
        ("WITH x AS (UPDATE a SET b = 1 RETURNING *) SELECT * FROM x", ["a"]),
        ("SELECT 1; UPDATE t SET a = 1; DELETE FROM u", ["t", "u"]),
        ("EXPLAIN ANALYZE UPDATE t SET a = 1", ["t"]),
        ("DO $$ BEGIN UPDATE t SET a = 1; END $$", ["t"]),
        ('ALTER TABLE "new__t" RENAME TO "t"', ["new__t", "t"]),
        ("DROP TABLE IF EXISTS t", ["t"]),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", ["v"]),
        ("/*! DELETE FROM t */", ["t"]),
        ("UPDATE t SET a = 'it\\'s'; DELETE FROM u", ["t", "u", "t", "u"]),
        ("# it's a comment of MySQL\nDELETE FROM t", ["t"]),
        ("# wait for\nUPDATE t SET a = 1", ["t"]),
        ("/* route=/api/* */ UPDATE t SET a = 1", ["t"]),
        ("DO $$ BEGIN PERFORM $a$it's$a$; UPDATE t SET a = 1; END $$", ["t"]),
        ('SELECT $$it\'s$$; UPDATE "a t" SET a = 1', ["a t"]),
        ("UPDATE ONLY (t) SET a = 1", ["t"]),
        ("DELETE FROM ONLY (s.t) WHERE a = 1", ["t"]),
        ("TRUNCATE ONLY (a), b", ["a", "b"]),
        ("UPDATE (a, b) SET a.x = b.x", ["a", "b"]),
        (
            "UPDATE a JOIN (SELECT x FROM c WHERE y = 1) d ON d.x = a.x JOIN b SET b.x = 1",
            ["a", "b"],
        ),
        ("UPDATE a STRAIGHT_JOIN b SET b.x = 1", ["a", "b"]),
    ],
)
def test_written_tables_are_found(sql, tables):
    assert sorted(set(written(sql))) == sorted(set(tables))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t FOR UPDATE OF t",
        "SELECT * FROM t FOR NO KEY UPDATE",
        "SELECT 'DELETE FROM t', \"update\" FROM t",
        "SELECT replace(a, 'b', 'c') FROM t -- DELETE FROM u",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "COPY t TO STDOUT",
        "COPY (SELECT 1) TO STDOUT",
        "SAVEPOINT s1",
        "SET TIME ZONE 'UTC'",
        "DECLARE c CURSOR FOR SELECT 1",
        "",
    ],
)
def test_what_writes_nothing_ends_nothing(sql):
    assert written(sql) == []


def test_an_update_by_its_key_names_its_row():
    sql = 'UPDATE "t" SET "a" = %s, "n" = ("t"."n" + %s) WHERE "t"."id" = %s'
    assert rows(sql, "x", 1, 7) == {"id": [7]}


def test_a_bulk_update_names_its_rows():
    sql = 'UPDATE "t" SET "a" = CASE WHEN ("t"."id" = %s) THEN %s ELSE NULL END WHERE "t"."id" IN (%s, %s)'
    assert rows(sql, 1, "x", 1, 2) == {"id": [1, 2]}


def test_all_conditions_that_must_hold_are_used():
    sql = "DELETE FROM t WHERE (t.photo_id = %s AND t.tag_id IN (%s, %s))"
    assert rows(sql, 7, 1, 2) == {"photo_id": [7], "tag_id": [1, 2]}


@pytest.mark.parametrize(
    "where",
    [
        "id = %s OR a = 1",
        "NOT id = %s",
        "NOT (id = %s)",
        "id > %s",
        "id = %s + 1",
        "id IN (SELECT x FROM y WHERE z = %s)",
        "other.id = %s",
        "a BETWEEN 1 AND id = %s",
        "(id = %s) = FALSE",
    ],
)
def test_a_condition_that_other_rows_may_meet_names_no_row(where):
    assert rows(f"DELETE FROM t WHERE {where}", 7) == {}


def test_an_update_of_the_key_itself_names_no_row():
    assert rows("UPDATE t SET id = %s WHERE id = %s", 8, 7) == {}
    assert rows("UPDATE t SET (id, a) = (%s, %s) WHERE id = %s", 8, 1, 7) == {}


def test_an_insert_names_the_values_it_gives():
    sql = 'INSERT INTO "t" ("a", "id") VALUES (%s, %s), (lower(%s), %s) RETURNING "t"."b"'
    assert rows(sql, "x", 1, "y", 2) == {"id": [1, 2]}


def test_an_insert_of_arrays_names_what_is_in_them():
    sql = "INSERT INTO t (id, a) SELECT * FROM UNNEST ((%s)::integer[], (%s)::varchar[])"
    assert rows(sql, [1, 2], ["x", "y"]) == {"id": [1, 2], "a": ["x", "y"]}


def test_an_array_written_as_text_names_no_row():
    (write,) = writes_of("INSERT INTO t (id) SELECT * FROM UNNEST ((%s)::integer[])")
    with pytest.raises(TypeError):
        write.rows["id"][0].values(["{1,2}"])


def test_named_parameters_and_numbers_are_values_too():
    assert rows("DELETE FROM t WHERE id = 7") == {"id": [7]}
    (write,) = writes_of("DELETE FROM t WHERE id = %(key)s")
    assert write.rows["id"][0].values({"key": 7}) == (7,)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (id) VALUES (%s) ON CONFLICT (a) DO UPDATE SET a = 1",
        "INSERT INTO t (id) VALUES (%s) ON DUPLICATE KEY UPDATE a = 1",
        "INSERT OR REPLACE INTO t (id) VALUES (%s)",
        "INSERT INTO t (id) SELECT a FROM b WHERE c = %s",
    ],
)
def test_an_insert_that_may_change_other_rows_names_none(sql):
    (write,) = writes_of(sql)
    assert (write.rows, write.columns) == ({}, None)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = 'n%s' WHERE id = %s",
        "UPDATE t /* %s */ SET a = 1 WHERE id = %s",
        'UPDATE t SET "%s" = 1 WHERE id = %s',
        "UPDATE t SET a = '%(b)s' WHERE id = %(id)s",
    ],
)
def test_a_placeholder_that_only_the_driver_counts_leaves_no_row_named(sql):
    (write,) = writes_of(sql)
    assert (write.table, write.rows) == ("t", {})


def test_a_doubled_percent_sign_is_no_placeholder():
    assert rows("UPDATE t SET a = 'n%%s' WHERE id = %s", 7) == {"id": [7]}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t o SET a = 1 FROM photo t WHERE t.id = %s",
        "UPDATE t AS o SET a = 1 WHERE id = %s",
        "UPDATE t SET a = 1 FROM u WHERE id = %s",
        "DELETE FROM t USING u WHERE id = %s",
        "DELETE FROM t AS o WHERE id = %s",
        "UPDATE OR REPLACE t SET a = 1 WHERE id = %s",
    ],
)
def test_where_a_name_may_be_another_table_s_no_row_is_named(sql):
    assert all(not write.rows for write in writes_of(sql))
    assert "t" in written(sql)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("UPDATE a, b SET a.x = '{}'", ["a", "b"]),
        ("UPDATE /*{}*/ t SET a = 1", ["t"]),
        ("/*{}*/ UPDATE t SET a = 1", ["t"]),
        ("INSERT /*{}*/ INTO t (a) VALUES (1)", ["t"]),
        ("UPDATE a JOIN (SELECT '{}' AS x) c JOIN b SET b.x = 1", ["a", "b"]),
        ("DELETE FROM t WHERE a = '{}'", ["t"]),
    ],
)
def test_a_long_statement_names_all_that_it_writes(sql, tables):
    assert written(sql.format("x" * 9000)) == tables


def test_a_long_insert_is_not_read_to_its_end():
    sql = f"INSERT INTO t (a) VALUES {', '.join(['(%s)'] * 10_000)}"
    assert written(sql) == ["t"]
    assert rows(sql) == {}


def test_a_long_statement_that_may_hide_another_is():
    assert written(f"UPDATE t SET a = '{'x' * 9000}'; DELETE FROM u") == ["t", "u"]
    assert written(f"WITH x AS (DELETE FROM u) UPDATE t SET a = '{'x' * 9000}'") == ["u", "t"]
