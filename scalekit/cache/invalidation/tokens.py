"""SQL as a list of tokens, without comments: enough of every dialect's lexis to find what is written."""

from __future__ import annotations

import re
from typing import NamedTuple

# Words and quoted names, by PostgreSQL's manual (4.1 Lexical Structure), MySQL's backticks included. The text
# between $dollar quotes$ is read as SQL: it is the body of a DO block or of a function.
_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*(?!!))
    | (?P<string>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[A-Za-z_]\w*\])
    | (?P<param>%s|%b|%t|%\(\w+\)[sbt])
    | (?P<number>\d[\w.]*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>\$\w*\$|/\*!\d*|\*/|%%|[<>=!|&+*/@~:^-]+|\S)
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_FLAT = re.compile(r"(?P<name>\"\w+\"|`\w+`)|(?P<word>[^\W\d][\w$]*)|(?P<mark>\S)")


class Token(NamedTuple):
    """One token; `text` is unquoted, a word also stands there in capitals as `word`."""

    kind: str
    text: str
    word: str = ""

    @property
    def is_name(self) -> bool:
        return self.kind in {"name", "word"}


def tokens_of(sql: str) -> list[Token]:
    """Return the tokens of `sql`; of a doubtful text also those inside what may be no literal."""
    found = _lexed(sql)
    if is_doubtful(sql):
        found.append(Token("mark", ";"))
        found.extend(_token(match.lastgroup, match.group()) for match in _FLAT.finditer(sql))
    return found


def is_doubtful(sql: str) -> bool:
    r"""Return whether dialects disagree on where literals end: \' and comments that begin with #."""
    return "\\" in sql or "#" in sql


def _lexed(sql: str) -> list[Token]:
    found, at = [], 0
    while match := _TOKEN.search(sql, at):
        at = match.end()
        kind = match.lastgroup
        if kind == "block":
            at = _end_of_comment(sql, match.start())
        elif kind != "line":
            found.append(_token(kind, match.group()))
    return found


def _token(kind: str | None, text: str) -> Token:
    if kind == "name":
        closing = "]" if text[0] == "[" else text[0]
        return Token("name", text[1:-1].replace(closing * 2, closing))
    if kind == "word":
        return Token("word", text, text.upper())
    return Token(kind or "mark", text)


def _end_of_comment(sql: str, at: int) -> int:
    """Return where the comment that begins at `at` ends; PostgreSQL lets them nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, at):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)
