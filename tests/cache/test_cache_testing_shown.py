"""The tests that docs/howto/cache_views_and_fragments.md shows: they pass as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from django.contrib.auth.models import User
from django.test import TestCase

from scalekit.cache import cached

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/cache_views_and_fragments.md"
(SHOWN,) = re.findall(
    r"^## Your tests\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)


@cached(ttl=300, depends_on=[User])
def profile(user_id: int) -> dict:
    return {"name": User.objects.get(pk=user_id).first_name}


known = {"TestCase": TestCase, "User": User, "profile": profile, "__name__": __name__}
exec(SHOWN, known)
ProfileTests = known["ProfileTests"]
