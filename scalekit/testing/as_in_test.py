"""The settings of a worker process that a test has started: the project's, with the databases and queue of the test.

It lies outside `scalekit.testing.queue`, which needs the settings of Django to be there already.
"""

from __future__ import annotations

import json
import os
from importlib import import_module

_tested = import_module(os.environ["SCALEKIT_TESTED_SETTINGS"])
globals().update({name: getattr(_tested, name) for name in dir(_tested) if name.isupper()})
globals().update(json.loads(os.environ["SCALEKIT_TEST_SETTINGS"]))
