from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class MetricsUnavailable(ScalekitError):
    """Metrics need prometheus-client: pip install "django-scalekit[metrics]"."""
