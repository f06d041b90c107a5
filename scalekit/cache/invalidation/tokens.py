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
_NESTED = re.compile(
    r"/\*(?:(?!\*/).)*?/\*", re.DOTALL
)  # PostgreSQL lets comments nest, others do not
_DOLLARS = re.compile(r"\$\w*\$")
_PARAM = re.compile(r"%%|(%s|%b|%t|%\()")
_FLAT = re.compile(r"(?P<name>\"[\w .-]+\"|`[\w .-]+`)|(?P<word>[^\W\d][\w$]*)|(?P<mark>\S)")


class Token(NamedTuple):
    """One token; `text` is unquoted, a word also stands there in capitals as `word`."""

    kind: str
    text: str
    word: str = ""

    @property
    def is_name(self) -> bool:
        return self.kind in {"name", "word"}


def tokens_of(sql: str) -> list[Token]:
    """Return the tokens of `sql` as most dialects read it."""
    found: list[Token] = []
    at = 0
    while match := _TOKEN.search(sql, at):
        at = match.end()
        kind = match.lastgroup
        if kind == "block":
            at = _end_of_comment(sql, match.start())
        elif kind != "line":
            found.append(_token(kind, match.group()))
    return found


def flat_tokens_of(sql: str) -> list[Token]:
    """Return also what stands in literals and comments, for a text of which nobody knows where these end."""
    return [_token(match.lastgroup, match.group()) for match in _FLAT.finditer(sql)]


def is_doubtful(sql: str) -> bool:
    r"""Return whether dialects disagree on where literals and comments end: \', #, /* /*, $quotes$."""
    return "\\" in sql or "#" in sql or bool(_NESTED.search(sql) or _DOLLARS.search(sql))


def hides_params(sql: str, tokens: list[Token]) -> bool:
    """Return whether a placeholder stands in a literal, name or comment: drivers count it as any other."""
    return sum(map(bool, _PARAM.findall(sql))) != sum(token.kind == "param" for token in tokens)


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
