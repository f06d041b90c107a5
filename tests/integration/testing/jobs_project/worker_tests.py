from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import Group
from shop.tasks import restock, send_receipt


def finished(result, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result.refresh()
        if result.is_finished:
            return result
        time.sleep(0.05)
    raise AssertionError(result.status)


@pytest.mark.django_db(transaction=True)
def test_a_job_runs_in_a_process_of_its_own(scalekit_worker):
    worker = scalekit_worker()
    first = send_receipt.enqueue(7)
    assert finished(first).return_value == "1 of 7"
    restock.enqueue("tea")
    last = send_receipt.enqueue(8)
    assert finished(last).return_value == "1 of 8"
    assert Group.objects.filter(name="restocked tea").exists()
    assert worker.running
