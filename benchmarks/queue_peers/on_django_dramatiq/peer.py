from __future__ import annotations

from benchmarks.queue_peers.base import DJANGO, Peer

MIDDLEWARE = [  # its defaults but for Prometheus, with which it does not start on Dramatiq 2
    "dramatiq.middleware.AgeLimit",
    "dramatiq.middleware.TimeLimit",
    "dramatiq.middleware.Callbacks",
    "dramatiq.middleware.Retries",
    "django_dramatiq.middleware.AdminMiddleware",
    "django_dramatiq.middleware.DbConnectionsMiddleware",
]


class DjangoDramatiq(Peer):
    key = "django-dramatiq"
    title = "django-dramatiq"
    how = "default middleware without Prometheus, which Dramatiq 2 no longer has there"
    app = "benchmarks.queue_peers.on_django_dramatiq"
    needs = "django-dramatiq"

    def settings(self, redis):
        return {
            "INSTALLED_APPS": ["django_dramatiq", self.app],
            "DRAMATIQ_BROKER": {
                "BROKER": "dramatiq.brokers.redis.RedisBroker",
                "OPTIONS": {"url": redis, "namespace": "django_dramatiq"},
                "MIDDLEWARE": MIDDLEWARE,
            },
        }

    def worker(self, threads):
        return [*DJANGO, "rundramatiq", "--processes=1", f"--threads={threads}"]


PEERS = [DjangoDramatiq()]
