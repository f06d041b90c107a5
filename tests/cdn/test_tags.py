from __future__ import annotations

import pytest
from django.template import Context, Template, TemplateSyntaxError


def render(source: str, **context) -> str:
    return Template("{% load scalekit_cdn %}" + source).render(Context(context))


def test_stylesheet():
    html = render('{% cdn_stylesheet "a.css" media="print" %}')
    assert html == '<link rel="stylesheet" href="/static/a.css" media="print">'


def test_script_with_attributes_without_value():
    html = render('{% cdn_script "a.js" defer=True async=False %}')
    assert html == '<script src="/static/a.js" defer></script>'


def test_image():
    html = render('{% cdn_image "a.png" alt=text data_id="7" width=20 %}', text="A & B")
    assert html == '<img src="/static/a.png" alt="A &amp; B" data-id="7" width="20">'


def test_image_without_alt_is_refused():
    with pytest.raises(TemplateSyntaxError, match="alt"):
        render('{% cdn_image "a.png" %}')


def test_hostile_values_stay_inside_their_attribute():
    html = render('{% cdn_script "a.js" nonce=evil %}', evil='"><script>alert(1)</script>')
    assert "<script>alert" not in html
