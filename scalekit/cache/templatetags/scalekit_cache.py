"""``{% load scalekit_cache %}``: a part of a page that is rendered once and shared.

    {% cached 300 "sidebar" %} ... {% endcached %}
    {% cached 300 "greeting" request.user tags="greetings" %} ... {% endcached %}
    {% cached 600 "photo" photo.pk depends_on=photo stale=60 %} ... {% endcached %}

The seconds and a name come first, then all that it depends on; language, time zone, the template's text and
the tag's place in it always count. What is taken from the visitor is for them alone, unless the arguments
name them: the user, their primary key, the session's key, or what `personal=True` says that it does. `tags` and `depends_on` take one value or many; a model is written ``"photos.Photo"``.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

from django import template
from django.template.base import FilterExpression, token_kwargs
from django.utils.safestring import SafeString, mark_safe

from scalekit.cache.announced import require_announced
from scalekit.cache.fragments import Fragment, fragments, listed, surroundings, visitor_of
from scalekit.cache.pages import keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.template.base import Parser, Token

register = template.Library()
OPTIONS = ("alias", "depends_on", "jitter", "personal", "stale", "tags", "version")
_USAGE = '{% cached seconds "name" what it depends on ... %}'


class CachedNode(template.Node):
    """The part between the tags."""

    child_nodelists = ("nodes",)

    def __init__(
        self,
        nodes: template.NodeList,
        name: str,
        ttl: FilterExpression,
        vary: list[FilterExpression],
        options: Mapping[str, FilterExpression],
        fingerprint: str,
    ) -> None:
        self.nodes, self.name, self.ttl, self.vary, self.options = nodes, name, ttl, vary, options
        self.fingerprint = fingerprint

    def render(self, context: template.Context) -> SafeString:
        options = {name: option.resolve(context) for name, option in self.options.items()}
        values = tuple(value.resolve(context) for value in self.vary)
        personal = bool(options.pop("personal", False))
        visitor, free = visitor_of(context, values, personal=personal)
        fragment = Fragment(
            self.name,
            (self.fingerprint, *surroundings(context), visitor, *map(keyed, values)),
            self.nodes,
            context,
            free,
            tags=tuple(str.__str__(str(tag)) for tag in listed(options.pop("tags", None))),
            depends_on=listed(options.pop("depends_on", None)),
        )
        ends = tuple(sorted({"depends_on", "tags"} & self.options.keys()))
        if ends:
            alias = options.get("alias", "default")
            require_announced(f"The fragment {self.name}", alias, fragment.depends_on)
        ask = fragments(self.name, self._seconds(context), ends, **options)
        found = ask(fragment.place, fragment)
        if fragment.html is None and "html" not in found:
            fragment.render()
        html = found["html"] if fragment.html is None else fragment.html
        return mark_safe(html)  # noqa: S308 - it was rendered by a template, with its escaping

    def _seconds(self, context: template.Context) -> float | None:
        seconds = self.ttl.resolve(context)
        if seconds is None or (isinstance(seconds, (int, float)) and seconds >= 1):
            return seconds
        msg = (
            f'{{% cached %}} "{self.name}": the seconds are {seconds!r}: write 1 or more, or None.'
        )
        raise template.TemplateSyntaxError(msg)


@register.tag("cached")
def do_cached(parser: Parser, token: Token) -> CachedNode:
    """Parse the tag and what is between it and ``{% endcached %}``."""
    bits = token.split_contents()[1:]
    fingerprint = _fingerprint(parser)
    nodes = parser.parse(("endcached",))
    parser.delete_first_token()
    if len(bits) < 2 or "=" in bits[0]:  # noqa: PLR2004 - seconds and a name
        raise template.TemplateSyntaxError(f"Write {_USAGE}.")
    ttl, name, *rest = bits
    vary: list[FilterExpression] = []
    options: dict[str, FilterExpression] = {}
    while rest:
        named: dict[str, FilterExpression] = token_kwargs(rest[:1], parser)
        if not named:
            vary.append(parser.compile_filter(rest[0]))
        options.update(named)
        rest = rest[1:]
    _refuse_unknown(options)
    return CachedNode(
        nodes,
        _literal(name),
        parser.compile_filter(ttl),
        vary,
        options,
        fingerprint,
    )


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        msg = f"{{% cached %}} knows no {unknown[0]}=; it has {', '.join(OPTIONS)}."
        raise template.TemplateSyntaxError(msg)


def _literal(name: str) -> str:
    """Return the name, which stands in metrics: so it is written out, and no variable."""
    bare = name[1:-1] if name[0] in "\"'" and name[0] == name[-1] else name
    if bare.replace("-", "_").replace(".", "_").isidentifier():
        return bare
    msg = f"{{% cached %}} needs a name of letters and digits after the seconds, not {name}: {_USAGE}."
    raise template.TemplateSyntaxError(msg)


def _fingerprint(parser: Parser) -> str:
    """Return a digest of the template's name, its text and where in it the tag stands.

    A page that was edited is not served as it was before, and two tags of one name are two fragments.
    """
    origin = parser.origin
    loader = getattr(origin, "loader", None)
    named = "" if origin is None or loader is None else str(origin.template_name)
    text = "" if origin is None or loader is None else loader.get_contents(origin)
    rest = [
        (token.token_type.value, token.contents) for token in cast("list[Token]", parser.tokens)
    ]
    return blake2b(repr((named, text, rest)).encode(), digest_size=16).hexdigest()
