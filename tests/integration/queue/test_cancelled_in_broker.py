"""A job that is cancelled when its message is in the broker already."""

from __future__ import annotations

import pytest

from scalekit.queue import cancel
from scalekit.queue.models import TaskRecord
from tests.integration.queue.processes import eventually
from tests.integration.queue.project.flow_tasks import tell

pytestmark = pytest.mark.servers


def test_job_that_is_cancelled_in_the_broker_never_runs(broker, start_worker, journal):
    lost, kept = tell.enqueue(1, "lost"), tell.enqueue(2, "kept")
    assert broker.stats(["default"])["default"].ready == 2
    assert cancel(lost)
    start_worker().ready()
    assert eventually(lambda: TaskRecord.objects.get(pk=kept.id).status == "SUCCESSFUL", 30)
    assert journal() == ["kept 2"]
