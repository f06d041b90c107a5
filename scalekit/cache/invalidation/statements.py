"""Which tables a statement writes, and which rows of them where the statement itself says so. Free of Django.

What no statement shows stays unseen: functions and procedures that write (CALL, EXECUTE, SELECT f()), triggers
and rules. Whatever is found in doubt is found too much, never too little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from scalekit.cache.invalidation.rows import Slot, ends_tables, inserted, levels, restricted
from scalekit.cache.invalidation.tokens import (
    Token,
    flat_tokens_of,
    hides_params,
    is_doubtful,
    tokens_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LONG = 8000  # characters: a bulk insert, whose rows are too many to be told one by one
_HEAD = 1000
_READING = frozenset(
    {
        "SELECT",
        "WITH",
        "VALUES",
        "TABLE",
        "SHOW",
        "EXPLAIN",
        "DESCRIBE",
        "DESC",
        "PRAGMA",
        "SET",
        "RESET",
    }
    | {
        "DECLARE",
        "FETCH",
        "MOVE",
        "CLOSE",
        "LOCK",
        "BEGIN",
        "START",
        "SAVEPOINT",
        "RELEASE",
        "ROLLBACK",
    }
)
_PLAIN = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_NO_VERB_BEFORE_UPDATE = frozenset(
    {"FOR", "ON", "DO", "KEY", "BEFORE", "AFTER", "OR", "OF", "GRANT"}
)
_FILLERS = frozenset(
    {
        "ONLY",
        "IGNORE",
        "LOW_PRIORITY",
        "HIGH_PRIORITY",
        "DELAYED",
        "QUICK",
        "TABLE",
        "IF",
        "EXISTS",
        "NOT",
    }
    | {
        "OR",
        "REPLACE",
        "ROLLBACK",
        "ABORT",
        "FAIL",
        "CONCURRENTLY",
        "MATERIALIZED",
        "VIEW",
        "INTO",
        "FROM",
    }
    | {"TEMP", "TEMPORARY", "UNLOGGED", "TO", "LATERAL"}
)
_QUERY = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_ENDS_TABLES = frozenset(
    {"SET", "WHERE", "RETURNING", "LIMIT", "ORDER", "CASCADE", "RESTRICT", "RESTART"}
)


@dataclass(frozen=True, slots=True)
class Write:
    """A write to `table` (without its schema, in small letters).

    `rows` maps a column to where its values stand, if all rows that are written have one of them there.
    `generated` are not known before: `columns` are those that an INSERT names, None where it is no plain one.
    """

    table: str
    verb: str
    rows: Mapping[str, Sequence[Slot]] = field(default_factory=dict)
    columns: frozenset[str] | None = None
    cascades: bool = False


def writes_of(sql: str) -> tuple[Write, ...]:
    """Return what `sql`, of one statement or several, writes."""
    if len(sql) <= _LONG:
        return _remembered(sql)
    return _told_by_head(sql) or tuple(_all_writes(sql))


def _told_by_head(sql: str) -> tuple[Write, ...]:
    """Return what a long statement writes if its beginning says all of it, else nothing."""
    head = sql.lstrip()[:_HEAD]
    if not head.upper().startswith(_PLAIN) or ";" in sql or "WITH" in sql.upper():
        return ()
    tokens = tokens_of(head)
    if tokens[0].word in {"UPDATE", "DELETE"} and not ends_tables(tokens):
        return ()
    return tuple(_writes(tokens))


def _all_writes(sql: str) -> Iterator[Write]:
    yield from _writes(tokens_of(sql))
    if is_doubtful(sql):
        yield from _writes(flat_tokens_of(sql), is_sure=False)


def only_reads(sql: str) -> bool:
    """Return whether `sql` writes nothing to any table, as far as a statement shows it.

    False also for one that may give the transaction a snapshot: what is loaded then is not kept either.
    """
    first = _first_word(sql[:_HEAD])
    if first in {"SET", "BEGIN", "START"} and "ISOLATION" in sql.upper():
        return False
    return first in _READING and not writes_of(sql)


@lru_cache(maxsize=1024)
def _first_word(head: str) -> str:
    return next((token.word for token in tokens_of(head) if token.text != "("), "")


@lru_cache(maxsize=1024)
def _remembered(sql: str) -> tuple[Write, ...]:
    writes = list(_all_writes(sql))
    if len(writes) == 1 and not is_doubtful(sql):
        tokens = tokens_of(sql)
        if not hides_params(sql, tokens):
            writes = [_with_rows(writes[0], tokens)]
    return tuple(writes)


def _with_rows(write: Write, tokens: list[Token]) -> Write:
    """Add the rows, if the statement is nothing but this one plain write."""
    while tokens and tokens[-1].text == ";":
        tokens = tokens[:-1]
    if tokens[0].word != write.verb or any(token.text == ";" for token in tokens):
        return write
    if write.verb == "INSERT":
        rows, columns = inserted(tokens)
        return Write(write.table, write.verb, rows, columns)
    if write.verb in {"UPDATE", "DELETE"}:
        return Write(write.table, write.verb, restricted(tokens, write.table))
    return write


def _writes(tokens: list[Token], *, is_sure: bool = True) -> Iterator[Write]:
    for at, token in enumerate(tokens):
        if token.word in _VERBS and _is_verb(tokens, at, is_sure=is_sure):
            cascades = token.word == "TRUNCATE" and any(t.word == "CASCADE" for t in tokens[at:])
            for table in _tables(tokens, at):
                yield Write(table, token.word, cascades=cascades)


def _is_verb(tokens: list[Token], at: int, *, is_sure: bool) -> bool:
    """Return whether the word stands for what is done: not FOR UPDATE, ON DELETE, REPLACE(...).

    What stands before it tells only where it is sure to be no comment's last word.
    """
    word = tokens[at].word
    before = tokens[at - 1].word if at and is_sure else ""
    after = tokens[at + 1] if at + 1 < len(tokens) else Token("mark", "")
    if word in {"UPDATE", "DELETE"}:
        return before not in _NO_VERB_BEFORE_UPDATE and (after.is_name or after.text == "(")
    if word == "REPLACE":
        return before != "OR" and after.is_name
    if word in {"ALTER", "CREATE", "DROP", "REFRESH"}:
        return any(t.word in {"TABLE", "MATERIALIZED"} for t in tokens[at + 1 : at + 4])
    if word == "RENAME":
        return after.word == "TO"
    if word == "COPY":
        return _copies_from(tokens, at)
    return after.is_name


def _copies_from(tokens: list[Token], at: int) -> bool:
    """Return whether a COPY reads what it is given: COPY t [(columns)] FROM."""
    depth = 0
    for token in tokens[at + 1 :]:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.word in {"FROM", "TO"}:
            return token.word == "FROM"
    return False


def _tables(tokens: list[Token], at: int) -> Iterator[str]:
    """Return the names that follow a verb: one, or those of a list or join where the verb takes many."""
    verb = tokens[at].word
    at += 1
    if verb == "LOAD":  # DATA ... INTO TABLE t
        while at < len(tokens) and tokens[at].word != "INTO":
            at += 1
    at = _past_fillers(tokens, at)
    while at < len(tokens) and tokens[at].word not in _ENDS_TABLES:
        if _is_query(tokens, at):
            at = _closed(tokens, at)
        elif tokens[at].is_name:
            name, at = _name(tokens, at)
            yield name
        elif tokens[at].text != "(":
            return
        else:  # ONLY (t), (a JOIN b)
            at = _past_fillers(tokens, at + 1)
            continue
        if verb not in {"UPDATE", "DELETE", "TRUNCATE", "DROP"}:
            return
        at = _past_fillers(tokens, _next_of_list(tokens, at))


def _is_query(tokens: list[Token], at: int) -> bool:
    """Return whether the brackets at `at` hold a query, whose tables are only read."""
    return tokens[at].text == "(" and any(t.word in _QUERY for t in tokens[at + 1 : at + 2])


def _closed(tokens: list[Token], at: int) -> int:
    """Return where what follows the brackets at `at` begins."""
    ends = (here + 1 for here, depth, t in levels(tokens[at:]) if depth == 0 and t.text == ")")
    return at + next(ends, 1)


def _past_fillers(tokens: list[Token], at: int) -> int:
    while at < len(tokens) and tokens[at].word in _FILLERS:
        at += 1
    return at


def _name(tokens: list[Token], at: int) -> tuple[str, int]:
    """Return the last part of a dotted name, as `bare` has it, and where what follows begins."""
    while at + 2 < len(tokens) and tokens[at + 1].text == "." and tokens[at + 2].is_name:
        at += 2
    return bare(tokens[at].text), at + 1


def _next_of_list(tokens: list[Token], at: int) -> int:
    """Return where the next table of `UPDATE a, b SET` or `DELETE a FROM a JOIN b` stands; the end if none."""
    while at < len(tokens) and tokens[at].word not in _ENDS_TABLES and tokens[at].text != ";":
        if _continues(tokens[at]):
            return at + 1
        at = _closed(tokens, at) if tokens[at].text == "(" else at + 1
    return len(tokens)


def _continues(token: Token) -> bool:
    return token.text == "," or token.word in {"JOIN", "FROM", "USING", "STRAIGHT_JOIN"}


def bare(table: str) -> str:
    """Return a table's name as statements are compared with: without schema and quotes, in small letters."""
    return table.rpartition(".")[2].strip('"`[]').casefold()


_VERBS = frozenset(
    {"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "TRUNCATE", "COPY", "LOAD"}
    | {"ALTER", "CREATE", "DROP", "RENAME", "REFRESH"}
)
