"""Run Django's tests with our app installed and our middleware, and its session tests on our engine too."""

from __future__ import annotations

import json
import os
import unittest
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.test.runner import DiscoverRunner

MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "scalekit.sessions.middleware.SessionMiddleware"


class Runner(DiscoverRunner):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        settings.INSTALLED_APPS.append("scalekit.sessions")  # runtests.py installs Django's alone
        apps.set_installed_apps(settings.INSTALLED_APPS)
        settings.MIDDLEWARE = [OURS if m == MIDDLEWARE else m for m in settings.MIDDLEWARE]

    def build_suite(self, *args, **kwargs):
        suite = super().build_suite(*args, **kwargs)
        ours = unittest.defaultTestLoader.loadTestsFromName("session_suite_tests")
        return type(suite)([*ours, *suite])

    def suite_result(self, suite, result, **kwargs):
        bad = [test.id() for test, _ in (*result.failures, *result.errors)]
        report = {"run": result.testsRun, "failed": sorted(bad)}
        Path(os.environ["SUITE_REPORT"]).write_text(json.dumps(report))
        return super().suite_result(suite, result, **kwargs)
