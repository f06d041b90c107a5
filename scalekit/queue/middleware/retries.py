from __future__ import annotations

import logging
import time
from typing import Any

from dramatiq.middleware import Retries

from scalekit.queue.conf import settings
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.facts import JOB

logger = logging.getLogger("scalekit.queue")

PAUSE = 1.0  # seconds between attempts to store a retry


class StoredRetries(Retries):
    """Dramatiq's Retries, bounded by our settings, for jobs without a record; none is lost while the broker is down.

    Dramatiq enqueues the retry and then acknowledges the message, also if the first of the two failed.
    Here the broker does both in one step, and what it did not confirm is tried again. A worker that is
    stopped meanwhile leaves the message unacknowledged, and another takes it up.
    """

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: Any = None
    ) -> None:
        job = JOB.get()
        if exception is None or (job is not None and job.record is not None):
            return
        if job is not None and job.is_done:
            message.options["max_retries"] = 0
        self.max_retries = settings.MAX_RETRIES
        self.min_backoff = int(settings.MIN_BACKOFF * 1000)
        self.max_backoff = int(settings.MAX_BACKOFF * 1000)
        before = dict(message.options)
        while not self._decide(broker, message, exception):
            message.options.clear()
            message.options.update(before)
            time.sleep(PAUSE)

    def _decide(self, broker: Any, message: Any, exception: Any) -> bool:
        try:
            super().after_process_message(_Retrying(broker), message, exception=exception)  # type: ignore[no-untyped-call]  # Dramatiq has no types here
        except PublishFailed as error:
            logger.warning("The retry of job %s waits: %s", message.message_id, error)
            return False
        return True


class _Retrying:
    """What Dramatiq's Retries need of a broker, with `retry` in the place of `enqueue`."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.get_actor = broker.get_actor

    def enqueue(self, message: Any, *, delay: int) -> None:
        self._broker.retry(message, delay)
