"""A claim whose answer is lost: the connection breaks after the commit, and before anybody heard of it.

The job runs then, as far as its row says, and nobody runs it. Made again, the claim finds its own row and takes
it for another worker's; the job would wait for its lease to run out, and count the death of a worker.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from scalekit.queue.leases import held
from scalekit.queue.records.steps import SLACK, Claim, Claimed
from scalekit.queue.records.store import claims, reaching
from scalekit.queue.results import worker_id

if TYPE_CHECKING:
    from uuid import UUID

    from scalekit.queue.jobs import Job


def claimed(job: Job, database: str, id_: UUID) -> Claimed:
    """Claim the row `id_` for `job`, which is held from then on if it is ours. Raises `StoreUnreachable`."""
    claim = Claim(id_, worker_id(os.getpid()))
    attempts: list[Claim] = []
    began = time.monotonic()

    def submit() -> Claimed:
        attempts.append(claim)
        return claims[database].submit(claim)

    with held.claiming(id_) as claiming:
        answer = reaching(database, submit)
        if len(attempts) > 1 and claiming.is_alone and _is_by(claim, answer, began):
            answer = Claimed("begin", answer.record)
        if answer.is_ours:
            job.record = answer.record
            held.add(job)
    return answer


def _is_by(claim: Claim, answer: Claimed, began: float) -> bool:
    """Tell whether the row says that the process of `claim` runs the job, and has since `began`.

    No thread of it does, so `claim` was written. One that ran the job before that is another process of the same
    name: of a container that was started again, or of one beside it on the network of their host.
    """
    row = answer.record
    if row is None or answer.verdict != "running" or row.worker_ids[-1:] != [claim.worker]:
        return False
    age: timedelta = row.now - row.last_attempted_at  # type: ignore[attr-defined]  # annotated
    return age <= timedelta(seconds=time.monotonic() - began) + SLACK
