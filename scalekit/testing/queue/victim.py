"""A worker that dies with the first job it begins: ``python victim.py '[settings, backend, options]'``."""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    module, backend, options = json.loads(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = module

    import django

    django.setup()

    from django.utils.module_loading import import_string

    broker = import_string(backend)("default", **options)
    broker.declare_queue("default")
    consumer = broker.consume("default", prefetch=1, timeout=100)
    while (message := next(consumer)) is None:
        pass
    broker.emit_before("process_message", message)
    os._exit(0)  # as by kill -9: nothing is closed, and the exit status says that it came so far
