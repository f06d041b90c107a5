"""The broker's dead letters as rows: the record of the job says so, or a row is made for what has none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from scalekit.queue.conf import settings
from scalekit.queue.exceptions import JobBuried, WorkerDied
from scalekit.queue.jobs import TASK_ACTOR
from scalekit.queue.lanes import HIGH, HIGHEST_NORMAL, LOW, queue_of
from scalekit.queue.models import LONGEST_PATH, Status, TaskRecord
from scalekit.queue.records import fail
from scalekit.queue.records.states import final_fields
from scalekit.queue.storable import is_storable

if TYPE_CHECKING:
    from scalekit.queue.brokers.base import DeadMessage

NAMESPACE = UUID("6f0a3c0e-4d0b-5b0e-9d52-6f2f1d6c1f35")  # of the ids of what has no id of ours
LONGEST_RAW = 100_000  # characters
OF_ONE_DELIVERY = {"retries", "traceback", "requeue_timestamp", "published_at", "redis_message_id"}

PRIORITIES = {HIGH: HIGHEST_NORMAL + 1, LOW: -HIGHEST_NORMAL - 1}

WORDS = {
    "failed": "It raised in its last attempt.",
    "died": "The workers that ran it died.",
    "unreadable": "It could not be read.",
    "option": "One of its options is of the wrong type.",
    "no actor": "No worker knows its actor.",
}


def record_burial(letter: DeadMessage, database: str) -> None:
    """Make the job of `letter` FAILED in its record; where it has none, make one in `database`.

    Only a READY one: what runs has another message, and what its worker leaves behind is swept.
    """
    message = _read(letter.raw)
    if message is None or not _has_record(letter, message):
        row = _row(letter, message)
        TaskRecord.objects.using(database).bulk_create([row], ignore_conflicts=True)


def _has_record(letter: DeadMessage, message: dict[str, Any]) -> bool:
    """Tell whether the job has a record, which says now that it failed, unless it went on since."""
    home, id_ = message["options"].get("database"), _uuid(message["message_id"])
    if home not in settings.DATABASES or id_ is None:
        return False
    kind, why = _error(letter, message)
    buried = fail(id_, home, exception_class_path=kind, message=why, only_if=(Status.READY,))
    return buried or TaskRecord.objects.using(home).filter(pk=id_).exists()


def _read(raw: bytes) -> dict[str, Any] | None:
    """Return the message in `raw`; None where it is none, or one that no row can hold."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    shape = {"actor_name": str, "message_id": str, "args": list, "kwargs": dict, "options": dict}
    if not isinstance(message, dict) or not is_storable(message):
        return None
    sound = all(isinstance(message.get(name), kind) for name, kind in shape.items())
    return message if sound and len(_called(message)[1]) <= LONGEST_PATH else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _called(message: dict[str, Any]) -> tuple[str, str, list[Any], dict[str, Any]]:
    """Return what the message calls: kind, path or name, arguments."""
    match message["actor_name"], message["args"]:
        case str() as actor, [str() as path, list() as args, dict() as kwargs] if actor.startswith(
            TASK_ACTOR
        ):
            return "task", path, args, kwargs
    return "actor", message["actor_name"], message["args"], message["kwargs"]


def _row(letter: DeadMessage, message: dict[str, Any] | None) -> TaskRecord:
    kind, why = _error(letter, message)
    row = TaskRecord(
        id=uuid5(NAMESPACE, f"{letter.queue}/{letter.id}"),
        kind="actor",
        queue_name=letter.queue[:LONGEST_PATH],
        kept=False,  # published again it is the broker's, as it was
        attempt=letter.deliveries,
        errors=[{"exception_class_path": kind, "traceback": why}],
        **final_fields(Status.FAILED),
    )
    if message is None:
        row.path, row.raw = "", _text(letter.raw)
    else:
        fill(row, message)
    return row


def fill(row: TaskRecord, message: dict[str, Any]) -> None:
    """Write into `row`, which has the queue of the broker, what `message` calls and how."""
    row.id = _uuid(message["message_id"]) or row.id
    row.kind, row.path, row.args, row.kwargs = _called(message)
    options = message["options"]
    row.options = {name: options[name] for name in options.keys() - OF_ONE_DELIVERY}
    if row.kind == "task":
        row.backend = str(options.get("backend", ""))[:LONGEST_PATH]
        lane, row.queue_name = row.queue_name, queue_of(row.queue_name)
        row.priority = PRIORITIES.get(lane.removeprefix(row.queue_name), 0)


def _error(letter: DeadMessage, message: dict[str, Any] | None) -> tuple[str, str]:
    """Return the path of an exception and what there is to say."""
    kind = WorkerDied if letter.reason == "died" else JobBuried
    why = f"{WORDS.get(letter.reason, letter.reason)} The broker buried it after {letter.deliveries} deliveries."
    traceback = (message or {"options": {}})["options"].get("traceback")
    lines = [traceback, why] if isinstance(traceback, str) else [why]
    return f"{kind.__module__}.{kind.__qualname__}", "\n".join(lines)


def _text(raw: bytes) -> str:
    text = raw.decode(errors="backslashreplace").replace("\x00", "\\x00")
    return text[:LONGEST_RAW]
