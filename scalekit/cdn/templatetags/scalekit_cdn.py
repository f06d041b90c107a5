"""``{% load scalekit_cdn %}``: elements for files that the CDN may serve.

    {% cdn_stylesheet "css/site.css" media="print" %}
    {% cdn_script "js/site.js" defer=True type="module" %}
    {% cdn_image "img/logo.svg" alt="Home" width=120 %}

Further arguments become attributes, escaped; True stands for one without a value, None and False for none.
``data_id="7"`` writes ``data-id="7"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.forms.utils import flatatt
from django.templatetags.static import static
from django.utils.html import format_html

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def cdn_stylesheet(path: str, **attributes: Any) -> SafeString:
    """Link a stylesheet."""
    return format_html('<link rel="stylesheet" href="{}"{}>', static(path), _attributes(attributes))


@register.simple_tag
def cdn_script(path: str, **attributes: Any) -> SafeString:
    """Load a script."""
    return format_html('<script src="{}"{}></script>', static(path), _attributes(attributes))


@register.simple_tag
def cdn_image(path: str, *, alt: str, **attributes: Any) -> SafeString:
    """Show an image; `alt` is what a visitor who does not see it gets, empty for mere decoration."""
    return format_html('<img src="{}" alt="{}"{}>', static(path), alt, _attributes(attributes))


def _attributes(named: dict[str, Any]) -> SafeString:
    return flatatt({name.replace("_", "-"): value for name, value in named.items()})
