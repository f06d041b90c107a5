"""Begin a flow: its group, and every job that waits for no other, in one transaction of one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from scalekit.queue.flows.advancing import Wave
from scalekit.queue.flows.plans import chain_of, ids_for, job_of
from scalekit.queue.flows.results import GroupResult
from scalekit.queue.flows.steps import Group
from scalekit.queue.ids import new_id
from scalekit.queue.outbox import database_for_enqueue

if TYPE_CHECKING:
    from scalekit.queue.flows.steps import Pipeline, Step


def enqueue(flow: Group | Pipeline, callbacks: dict[str, Step | None]) -> GroupResult:
    """Begin `flow`; a pipeline is a group with itself as the only member."""
    whole = flow if isinstance(flow, Group) else Group((flow,))
    [element] = chain_of(whole, ids_for(whole))
    sent = {name: job_of(step, new_id()) for name, step in callbacks.items() if step is not None}
    using = database_for_enqueue()
    with transaction.atomic(using=using):
        wave = Wave(using)
        wave.begin_group(element, **_as_columns(sent))
        wave.send()
    size = len(whole.members)
    return GroupResult(id=element["id"], database=using, size=size, pending=size, failed=0)


def _as_columns(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: sent.get(name) for name in ("on_success", "on_failure", "on_finish")}
