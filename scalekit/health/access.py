"""Who is told more than a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from scalekit.core.bearer import bears
from scalekit.core.networks import came_from
from scalekit.health.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest


def may_know(request: HttpRequest) -> bool:
    """Tell whether names of checks, reasons and fingerprints are for whoever sent this request."""
    return (
        django_settings.DEBUG
        or came_from(request, settings.NETWORKS)
        or bears(request, settings.TOKEN)
    )
