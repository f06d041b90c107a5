"""No statement changes a row that it is not said to change: random ones, run on SQLite."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalekit.cache.invalidation.statements import writes_of

NUMBERS = st.integers(0, 5)
BLANK = st.sampled_from([" ", "\n", " /* id = 1 OR */ ", " -- it's\n "])


class Condition:
    """Some SQL, its parameters beside it."""

    def __init__(self, text, *params):
        self.text, self.params = text, params


def term(column, operator, value, *, literal):
    return Condition(
        f"{column}{operator}{value if literal else '?'}", *([] if literal else [value])
    )


def among(column, values):
    return Condition(f"{column} IN ({', '.join('?' * len(values))})", *values)


def between(column, low, high):
    return Condition(f"{column} BETWEEN ? AND ?", low, high)


def joined(word, one, other):
    return Condition(f"{one.text} {word} {other.text}", *one.params, *other.params)


def wrapped(before, one, after=")"):
    return Condition(f"{before}{one.text}{after}", *one.params)


columns = st.sampled_from(["id", '"id"', "t.id", '"t"."id"', "a", "t.a", "ID"])
operators = st.sampled_from([" = ", "=", " <> ", " > ", " IS "])
terms = st.one_of(
    st.builds(term, columns, operators, NUMBERS, literal=st.booleans()),
    st.builds(among, columns, st.lists(NUMBERS, min_size=1, max_size=3)),
    st.builds(between, columns, NUMBERS, NUMBERS),
)


def larger(conditions):
    return st.one_of(
        st.builds(
            joined,
            st.sampled_from(["AND", "OR", "and", "= NOT", "IS", "||"]),
            conditions,
            conditions,
        ),
        st.builds(wrapped, st.sampled_from(["(", "NOT (", "((", "CASE WHEN ("]), conditions).map(
            closed
        ),
        st.builds(wrapped, st.just("NOT "), conditions, st.just("")),
    )


def closed(condition):
    """Close what `wrapped` has opened."""
    text = condition.text
    if text.startswith("CASE"):
        text += " THEN 1 ELSE 0 END"
    missing = text.count("(") - text.count(")")
    return Condition(text + ")" * missing, *condition.params)


conditions = st.recursive(terms, larger, max_leaves=6)
changes = st.sampled_from(
    [
        ("DELETE FROM t WHERE", ()),
        ('DELETE FROM "main"."t"\nWHERE', ()),
        ("UPDATE t SET a = ? WHERE", (9,)),
        ("UPDATE t SET a = (SELECT max(id) FROM t WHERE id = ?), b = 'id = 3' WHERE", (1,)),
        ("UPDATE t SET id = id + ? WHERE", (10,)),
        ("UPDATE OR IGNORE t SET b = ?, a = 1 WHERE", ("x",)),
    ]
)


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)")
    yield connection
    connection.close()


@settings(max_examples=400, deadline=None, derandomize=True)
@given(change=changes, condition=conditions, blank=BLANK)
def test_a_statement_changes_no_row_but_those_it_names(database, change, condition, blank):
    begin, taken = change
    sql, params = f"{begin}{blank}{condition.text}", (*taken, *condition.params)
    changed = rows_changed(database, sql, params)
    (write,) = writes_of(sql.replace("?", "%s"))
    assert write.table == "t"
    if "id" in write.rows:
        named = {value for slot in write.rows["id"] for value in slot.values(params)}
        assert changed <= named


def rows_changed(database, sql, params):
    database.execute("DELETE FROM t")
    database.executemany("INSERT INTO t VALUES (?, ?, 'x')", [(n, (n * 7) % 6) for n in range(6)])
    before = set(database.execute("SELECT * FROM t"))
    try:
        database.execute(sql, params)
    except sqlite3.Error:  # not every random text is SQL
        return set()
    return {row[0] for row in before ^ set(database.execute("SELECT * FROM t"))}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4), st.booleans(), BLANK)
def test_an_insert_adds_no_row_but_those_it_names(database, values, swapped, blank):
    names = "(a, id)" if swapped else "(id, a)"
    placeholders = ", ".join(["(?, (?))" if swapped else "(?, abs(?))"] * len(values))
    sql = f"INSERT OR IGNORE INTO{blank}t {names} VALUES {placeholders}"
    params = [value for pair in values for value in pair]
    changed = rows_changed(database, sql, params)
    (write,) = writes_of(sql.replace("?", "%s"))
    if "id" in write.rows:
        assert changed <= {value for slot in write.rows["id"] for value in slot.values(params)}
    else:
        assert swapped
