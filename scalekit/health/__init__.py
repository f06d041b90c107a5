"""Is this server well, and may it be sent visitors: ``/livez`` and ``/readyz``.

Put `scalekit.health.middleware.HealthMiddleware` first in MIDDLEWARE. Each app adds checks of its own in a
module ``health.py``; `scalekit.health.base` is what they are made of.
"""
