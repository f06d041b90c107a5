"""The Python of the page on invalidation works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from django.test import override_settings

from scalekit.cache import MISSING
from scalekit.cache.invalidation.checks import check_dependencies
from tests.cache.shop.models import Owner, Photo

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "invalidate.md"


def test_the_page_s_lines_work(photos):
    settings, code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    listed, here = {}, {"__name__": "page"}
    exec(settings.replace("shop.", "gallery."), listed)
    names = {name: value for name, value in listed.items() if name.isupper()}
    with override_settings(**names):
        exec(code.replace("from shop.models", "from tests.cache.shop.models"), here)
        assert not [m for m in check_dependencies() if m.msg.startswith("page.")]
        sea = Photo.objects.create(title="sea")
        ann = Owner.objects.create(name="ann")
        assert here["newest"]() == [{"pk": sea.pk, "title": "sea"}]
        assert (here["title"](sea.pk), here["page"](ann.pk)) == ("sea", "Ann")
        Photo.objects.filter(title="sea").update(likes=1)
        assert here["newest"].peek() is here["title"].peek(sea.pk) is MISSING
        here["after_an_import"]()
        assert here["page"].peek(ann.pk) is MISSING
