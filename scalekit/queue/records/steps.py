"""What workers ask of a record: to be theirs, and how its attempt ended. Pure values and decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from scalekit.queue.models import TaskRecord

Verdict = Literal["begin", "take over", "died", "cancelled", "gone", "finished", "running", "early"]

SLACK = timedelta(seconds=1)  # by how much the clock of a database may be set back
KEPT_ERRORS = 50  # the latest


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker wants to run the job."""

    id: UUID
    worker: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of a claim. `record` is the row as it is now; None where there is none."""

    verdict: Verdict
    record: TaskRecord | None = None

    @property
    def may_run(self) -> bool:
        return self.verdict in {"begin", "take over"}

    @property
    def is_ours(self) -> bool:
        """Tell whether it is for this worker to say how the job goes on, if only that it does not."""
        return self.may_run or self.verdict in {"died", "cancelled"}


@dataclass(frozen=True, slots=True)
class Ending:
    """A worker is done with an attempt; `fields` are what its row says from then on."""

    record: TaskRecord
    fields: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    is_final: bool = True
    earlier: tuple[Any, ...] = field(init=False)  # errors, before this one

    def __post_init__(self) -> None:
        object.__setattr__(self, "earlier", tuple(self.record.errors))

    @property
    def value(self) -> Any:
        return self.fields.get("return_value")

    @property
    def is_plain_success(self) -> bool:
        """Tell whether the row has nothing to say but that the job succeeded, and with which value."""
        return self.fields.get("status") == "SUCCESSFUL" and "progress" not in self.fields

    @property
    def id(self) -> UUID:
        found: UUID = self.record.pk
        return found

    @property
    def sets_off_others(self) -> bool:
        """Tell whether other jobs wait for this one."""
        return self.is_final and bool(self.record.group or self.record.options.get("flow"))

    def fields_at(self, now: datetime) -> dict[str, Any]:
        if self.error is None:
            return self.fields
        errors = [*self.earlier, {**self.error, "at": now.isoformat()}]
        return {**self.fields, "errors": errors[-KEPT_ERRORS:]}


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an ending.

    Only ``written`` has changed anything. ``late``: the job is no longer this worker's. ``cancelled``: it is
    not to be run again. ``repeated``: it was written before, and then the connection broke.
    """

    verdict: Literal["written", "late", "cancelled", "repeated"]
    fields: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None


def verdict_on(row: TaskRecord, now: datetime, max_deliveries: int) -> Verdict:
    """Decide whether a worker may run the job of `row`, which nobody else can change meanwhile."""
    if row.status not in {"READY", "RUNNING"}:
        return "finished"
    if row.status == "RUNNING" and row.leased_until is not None and row.leased_until > now:
        return "running"
    if row.cancel_asked:
        return "cancelled"
    if row.status == "RUNNING":
        return "died" if row.deaths + 1 >= max_deliveries else "take over"
    return "early" if _is_copy(row, now) else "begin"


def _is_copy(row: TaskRecord, now: datetime) -> bool:
    """Tell a second copy of a message, which arrives while the job waits to be published again."""
    later = row.run_after is not None and row.run_after > now + SLACK
    return later and row.publish_at is not None
