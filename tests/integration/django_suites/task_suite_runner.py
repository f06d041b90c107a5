"""Run Django's tests of Tasks with our app installed, and our backend under the names of Django's."""

from __future__ import annotations

import json
import os
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.tasks.backends import dummy, immediate
from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        settings.INSTALLED_APPS.append("scalekit.queue")  # runtests.py installs Django's alone
        apps.set_installed_apps(settings.INSTALLED_APPS)

        from task_suite_backends import AtOnce, Waiting

        dummy.DummyBackend, immediate.ImmediateBackend = Waiting, AtOnce

    def build_suite(self, *args, **kwargs):
        suite = super().build_suite(*args, **kwargs)
        for test in suite:
            type(test).databases = {"default"}  # Django's backends keep nothing there
        return suite

    def suite_result(self, suite, result, **kwargs):
        bad = {test.id() for test, _ in (*result.failures, *result.errors)}
        report = {"run": result.testsRun, "failed": sorted(bad)}
        Path(os.environ["SUITE_REPORT"]).write_text(json.dumps(report))
        return super().suite_result(suite, result, **kwargs)
