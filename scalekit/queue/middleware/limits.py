from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import DatabaseError, connections
from dramatiq import Middleware
from dramatiq.middleware import MiddlewareError, SkipMessage

from scalekit.queue import records
from scalekit.queue.conf import settings
from scalekit.queue.events import JOB_POSTPONED
from scalekit.queue.exceptions import LimitInvalid, MessageRefused, PublishFailed, TaskUnknown
from scalekit.queue.facts import JOB
from scalekit.queue.jobs import TASK_ACTOR, Job
from scalekit.queue.limits import OPTIONS, Limits, flaws_of, limits_of
from scalekit.queue.limits.admission import Applicant, Refusal, admit, leave, wait_for
from scalekit.queue.loading import load_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.queue.limits.places import Place

_held: ContextVar[tuple[Limits, Place] | None] = ContextVar("scalekit_queue_place", default=None)

POSTPONED = "postponed"  # option of a message without a record: it has waited for a limit


class LimitsUnavailable(MiddlewareError):
    """Nobody can say whether the job is over its limit, so it is tried again later."""


class ActorLimitInvalid(LimitInvalid, MiddlewareError):
    """An actor declares a limit that cannot be used."""


class JobLimits(Middleware):
    """Postpone jobs that are over their limits; they lose no attempt by that.

    Stands below what claims the job: a second message of one that has ended takes nothing.
    """

    @property
    def actor_options(self) -> set[str]:
        return set(OPTIONS)

    def before_declare_actor(self, broker: Any, actor: Any) -> None:
        for flaw in flaws_of(SimpleNamespace(**actor.options, func=_function_of(actor))):
            raise ActorLimitInvalid(f"Actor {actor.actor_name!r}: {flaw}")

    def before_process_message(self, broker: Any, message: Any) -> None:
        job = JOB.get()
        limits = None if job is None else _declared(broker, message)
        if job is None or limits is None:
            return
        try:
            admission = admit(limits, _applicant(job))
            if isinstance(admission, Refusal):
                _postpone(broker, job, limits, admission)
        except (DatabaseError, PublishFailed) as error:
            raise LimitsUnavailable(
                f"The limits of {limits.task} are not known: {error}"
            ) from error
        if admission.place is not None:
            _held.set((limits, admission.place))
        wait_for(admission)

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        held = _held.get()
        _held.set(None)
        if held is not None:
            connection = connections[settings.DATABASES[0]]
            if not connection.in_atomic_block:  # a task may have left it without autocommit
                connection.close_if_unusable_or_obsolete()
            leave(*held)

    after_skip_message = after_process_message


def _declared(broker: Any, message: Any) -> Limits | None:
    """Return the limits of the job as its task, in this release, declares them."""
    if not message.actor_name.startswith(TASK_ACTOR):
        actor = broker.get_actor(message.actor_name)
        func = _function_of(actor)
        return limits_of(actor.options, actor.actor_name, func, message.args, message.kwargs)
    try:
        path, args, kwargs = message.args
        task = load_task(path)
    except (MessageRefused, TaskUnknown, TypeError, ValueError):
        return None  # it will not run either, and what runs it says why
    options = {name: getattr(task, name, None) for name in OPTIONS}
    given = [None, *args] if task.takes_context else args
    return limits_of(options, path, task.func, given, kwargs)


def _function_of(actor: Any) -> Callable[..., Any]:
    """Return the function that was declared: that of a coroutine is wrapped, and hides its arguments."""
    function: Callable[..., Any] = getattr(actor.fn, "awaitable", actor.fn)
    return function


def _applicant(job: Job) -> Applicant:
    """Return the job as one that wants to run; one that was requeued passes for postponed."""
    id_ = str(job.message.message_id)
    if job.record is not None:
        return Applicant(id_, job.database, job.record.forgiven > 0)
    return Applicant(id_, has_waited=bool(job.message.options.get(POSTPONED)))


def _postpone(broker: Any, job: Job, limits: Limits, refusal: Refusal) -> NoReturn:
    JOB_POSTPONED.emit(task=limits.task, queue=job.queue, limit=refusal.limit, delay=refusal.delay)
    if job.record is not None:
        records.postpone(job, refusal.delay)
    else:
        job.message.options[POSTPONED] = True
        broker.retry(job.message, round(refusal.delay * 1000))
    raise SkipMessage(f"{limits.task} is over its {refusal.limit} limit.")
