"""gunicorn photos.wsgi --config gunicorn.conf.py."""

from __future__ import annotations

import os
from pathlib import Path

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"  # a sync worker that serves a slow page answers no probe
threads = 8
timeout = 60

# Seconds that requests in flight may take after SIGTERM. Whatever stops this server must wait longer before it
# sends SIGKILL: TimeoutStopSec of systemd, terminationGracePeriodSeconds of Kubernetes.
graceful_timeout = 30

# Longer than the load balancer keeps an idle connection, so that it is the load balancer that closes it: the other
# way round, a request may be sent into a connection that is just being closed.
keepalive = 75


def on_starting(_arbiter):
    """End the drain in which the last one stopped, should the drain file have outlived it."""
    if drain_file := os.environ.get("DRAIN_FILE"):
        Path(drain_file).unlink(missing_ok=True)
