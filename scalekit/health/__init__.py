"""The load balancer's rung: is this server well, may it be sent visitors, and who are they.

Put `scalekit.health.middleware.HealthMiddleware` first in MIDDLEWARE: it answers ``/livez``, ``/readyz``,
``/startupz`` and ``/version`` (`probes.PATHS`), and makes REMOTE_ADDR the visitor's once SCALEKIT_TRUSTED_PROXIES is
set. ``manage.py drain`` takes a server out before it stops, ``manage.py compare_servers`` says where servers differ,
and ``check --deploy`` what ties a visitor to one of them. Each app adds checks of its own in a module ``health.py``;
`scalekit.health.base` is what they are made of. The page is docs/journey/load_balancer.md.
"""
