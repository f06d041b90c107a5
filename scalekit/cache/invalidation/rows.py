"""Which rows a plain INSERT, UPDATE or DELETE names by their values. Free of Django."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scalekit.cache.invalidation.tokens import Token

MOST_ROWS = 100  # named one by one; of more, the whole table's rows are given up
_BEFORE_TABLE = frozenset({"FROM", "ONLY", "OR", "IGNORE", "ROLLBACK", "ABORT", "FAIL"})
_AND_IS_NOT_ALL = frozenset({"OR", "BETWEEN", "CASE", "XOR"})


class Slot(NamedTuple):
    """Where a value stands: the parameter at `at` (position or name), each item of it, or the value itself."""

    at: int | str = -1
    each: bool = False
    value: Any = None

    def values(self, params: Any) -> Sequence[Any]:
        """Return the values. Raises LookupError or TypeError for parameters that do not fit."""
        if self.at == -1:
            return (self.value,)
        found = params[self.at]
        if self.each and not isinstance(found, list | tuple):
            raise TypeError("no list of values")  # an array written as text, maybe
        return tuple(found) if self.each else (found,)


Rows = Mapping[str, Sequence[Slot]]


def inserted(tokens: list[Token]) -> tuple[Rows, frozenset[str] | None]:
    """Return the values of an INSERT by column, and its columns; None if it may change rows it does not name."""
    opened = next((at for at, token in enumerate(tokens) if token.text == "("), len(tokens))
    before = {token.word for token in tokens[:opened]}
    columns, at = _names(tokens, opened)
    end, harmless = _tail(tokens)
    if not columns or not harmless or before & {"REPLACE", "SELECT", "DEFAULT"}:
        return {}, None
    body = tokens[at:end]
    taken = sum(token.kind == "param" for token in tokens[:at])
    if body and body[0].word == "VALUES":
        tuples = list(_tuples(body[1:], taken))
    elif [t.word or t.text for t in body[:5]] == ["SELECT", "*", "FROM", "UNNEST", "("]:
        tuples = [[_each(slot) for slot in found] for found in _tuples(body[4:], taken, loose=True)]
    else:
        return {}, None
    fits = 0 < len(tuples) <= MOST_ROWS and all(len(found) == len(columns) for found in tuples)
    if not fits:
        return {}, frozenset(columns)
    by_column = zip(columns, zip(*tuples, strict=True), strict=True)
    rows = {name: _known(slots) for name, slots in by_column if None not in slots}
    return rows, frozenset(columns)


def restricted(tokens: list[Token], table: str) -> Rows:
    """Return the values to which the WHERE of an UPDATE or DELETE restricts a column, in every row it meets."""
    where = next((at for at, depth, t in levels(tokens) if depth == 0 and t.word == "WHERE"), None)
    if where is None or not _is_of_one_table(tokens[:where]):
        return {}
    taken = sum(token.kind == "param" for token in tokens[:where])
    rows = dict(_conditions(tokens[where + 1 :], table, taken))
    for column in _assigned(tokens[:where]):
        rows.pop(column, None)
    return rows


def ends_tables(tokens: list[Token]) -> bool:
    """Return whether SET or WHERE is there, so that all tables of an UPDATE or DELETE stand before it."""
    return any(depth == 0 and token.word in {"SET", "WHERE"} for _, depth, token in levels(tokens))


def _is_of_one_table(tokens: list[Token]) -> bool:
    """Return whether `tokens`, up to WHERE, name one table and no other name for it: no alias, join or list."""
    at = 1
    while at < len(tokens) and tokens[at].word in _BEFORE_TABLE:
        at += 1
    while tokens[at + 1 : at + 2] and tokens[at + 1].text == ".":
        at += 2
    rest = tokens[at + 1 :]
    if tokens[0].word == "DELETE" or not rest:
        return not rest
    joins = any(depth == 0 and t.word in {"FROM", "USING"} for _, depth, t in levels(rest))
    return rest[0].word == "SET" and not joins


def _tail(tokens: list[Token]) -> tuple[int, bool]:
    """Return where RETURNING or ON CONFLICT begins, and whether what is there changes no other row."""
    for at, depth, token in levels(tokens):
        if depth == 0 and token.word == "RETURNING":
            return at, True
        if depth == 0 and token.word == "ON":
            return at, not any(t.word == "UPDATE" for t in tokens[at:])
    return len(tokens), True


def _names(tokens: list[Token], at: int) -> tuple[list[str], int]:
    """Return the names in the brackets at `at`, and where what follows begins."""
    names: list[str] = []
    while at < len(tokens) and tokens[at].text != ")":
        if tokens[at].is_name:
            names.append(tokens[at].text.casefold())
        at += 1
    return names, at + 1


def _tuples(tokens: list[Token], taken: int, *, loose: bool = False) -> Iterator[list[Slot | None]]:
    """Yield the items of each bracket; None for one that is more than a parameter or number, unless `loose`."""
    items: list[list[tuple[Token, int]]] = []
    for _, depth, token in levels(tokens):
        if depth == 0:
            if token.text == ")" and items:
                yield [_item(item, loose=loose) for item in items]
            items = [[]] if token.text == "(" else []
            continue
        if depth == 1 and token.text == ",":
            items.append([])
        elif items:
            items[-1].append((token, taken))
        taken += token.kind == "param"


def _item(item: list[tuple[Token, int]], *, loose: bool) -> Slot | None:
    found = [pair for pair in item if pair[0].kind == "param"] if loose else item
    return _slot(*found[0]) if len(found) == 1 else None


def _slot(token: Token, position: int) -> Slot | None:
    if token.kind == "param":
        return Slot(position if len(token.text) == 2 else token.text[2:-2])  # noqa: PLR2004 - %s
    return Slot(value=int(token.text)) if token.text.isdecimal() else None


def _each(slot: Slot | None) -> Slot | None:
    return None if slot is None else slot._replace(each=True)


def _known(slots: Sequence[Slot | None]) -> tuple[Slot, ...]:
    return tuple(slot for slot in slots if slot is not None)


def _conditions(
    tokens: list[Token], table: str, taken: int
) -> Iterator[tuple[str, tuple[Slot, ...]]]:
    """Yield the terms `column = value` and `column IN (values)` that must all hold."""
    placed = []
    for token in tokens:
        placed.append((token, taken))
        taken += token.kind == "param"
    while placed and placed[0][0].text == "(" and _closing(placed) == len(placed) - 1:
        placed = placed[1:-1]
    term: list[tuple[Token, int]] = []
    terms = [term]
    for at, depth, token in levels([token for token, _ in placed]):
        if depth == 0 and token.word in {"RETURNING", "ORDER", "LIMIT"}:
            break
        if depth == 0 and token.word in _AND_IS_NOT_ALL:
            return
        if depth == 0 and token.word == "AND":
            terms.append(term := [])
        else:
            term.append(placed[at])
    for term in terms:
        found = _condition(term, table)
        if found is not None:
            yield found


def _condition(term: list[tuple[Token, int]], table: str) -> tuple[str, tuple[Slot, ...]] | None:
    while term and term[0][0].text == "(" and _closing(term) == len(term) - 1:
        term = term[1:-1]
    texts = [token.word or token.text for token, _ in term]
    names = [token.text.casefold() for token, _ in term if token.is_name]
    dots = 0
    while texts[dots * 2 + 1 : dots * 2 + 2] == ["."]:
        dots += 1
    if dots and names[dots - 1 : dots] != [table]:
        return None
    column, rest, values = names[dots : dots + 1], texts[dots * 2 + 1 :], term[dots * 2 + 2 :]
    if rest[:2] == ["IN", "("] and rest[-1] == ")":
        values = [pair for pair in values[1:-1] if pair[0].text != ","]
    elif rest[:1] != ["="] or len(values) != 1:
        return None
    slots = [_slot(*pair) for pair in values]
    if not column or not 0 < len(slots) <= MOST_ROWS or None in slots:
        return None
    return column[0], _known(slots)


def _assigned(tokens: list[Token]) -> Iterator[str]:
    """Yield the columns that the SET of an UPDATE changes: the row may have another key afterwards."""
    fresh, in_set = False, False
    for _, depth, token in levels(tokens):
        if token.word == "SET" and depth == 0:
            in_set = fresh = True
        elif in_set and fresh and token.is_name:
            yield token.text.casefold()
            fresh = depth > 0
        elif depth == 0 and token.text == ",":
            fresh = True
        elif token.text == "=":
            fresh = False


def _closing(placed: list[tuple[Token, int]]) -> int:
    """Return where the bracket that opens at the beginning closes."""
    depth = 0
    for at, (token, _) in enumerate(placed):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return at
    return -1


def levels(tokens: Sequence[Token]) -> Iterator[tuple[int, int, Token]]:
    """Yield each token with its place and the number of brackets around it; brackets count as outside."""
    depth = 0
    for at, token in enumerate(tokens):
        if token.text == ")" and token.kind == "mark":
            depth -= 1
        yield at, depth, token
        if token.text == "(" and token.kind == "mark":
            depth += 1
