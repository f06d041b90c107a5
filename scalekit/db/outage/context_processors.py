"""For TEMPLATES: ``{% if read_only %}You can look, but not write, for a moment.{% endif %}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.db.outage.state import is_read_only

if TYPE_CHECKING:
    from django.http import HttpRequest


def read_only(request: HttpRequest) -> dict[str, bool]:
    """Tell templates what the request was told, or what is so now."""
    return {"read_only": getattr(request, "read_only", False) or is_read_only()}
