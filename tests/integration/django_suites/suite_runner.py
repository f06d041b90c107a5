"""Run each test of Django as if it were a request: in a unit of work, where reads may go to replicas."""

from __future__ import annotations

import json
import os
import unittest
from contextlib import ExitStack
from pathlib import Path

from django.test.runner import DiscoverRunner

from scalekit.core.context import unit_of_work
from scalekit.db.writes import observe_writes
from scalekit.testing.replicas import visible_replicas

VISIBLE = os.environ.get("SUITE_REPLICAS") == "visible"


class Result(unittest.TextTestResult):
    reads = 0

    def startTest(self, test):  # noqa: N802 - unittest's name
        super().startTest(test)
        self.stack = ExitStack()
        self.stack.enter_context(unit_of_work())
        self.counted = self.stack.enter_context(visible_replicas()) if VISIBLE else {}

    def stopTest(self, test):  # noqa: N802 - unittest's name
        self.stack.close()
        Result.reads += self.counted.get("replica_1", 0)
        super().stopTest(test)


class Runner(DiscoverRunner):
    def setup_test_environment(self, **kwargs):
        super().setup_test_environment(**kwargs)
        observe_writes()  # runtests.py installs Django's apps alone
        if VISIBLE:
            _log_together()

    def get_resultclass(self):
        return Result

    def suite_result(self, suite, result, **kwargs):
        bad = [test.id() for test, _ in (*result.failures, *result.errors)]
        report = {"run": result.testsRun, "failed": sorted(bad), "from_replica": Result.reads}
        Path(os.environ["SUITE_REPORT"]).write_text(json.dumps(report))
        return super().suite_result(suite, result, **kwargs)


def _log_together():
    """Count a replica's queries with those of the primary, since Django's tests ask that one alone."""
    from scalekit.testing.replicas.stand_in import StandIn, _Shared

    for name in ("queries_log", "force_debug_cursor"):
        setattr(StandIn, name, _Shared(name))
