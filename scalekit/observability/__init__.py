"""What happens in the site: one JSON line a request, metrics, and whatever the other rungs announce.

`middleware.RequestMiddleware` writes the line, `logging.JSONFormatter` renders it (and every other log
record), ``urls`` serves ``/metrics``.
"""
