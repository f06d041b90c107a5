"""How the pages show a job. Whoever enqueues one chooses what is in it, so all of it is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from scalekit.queue.dead_letters import reason_of
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

LONGEST_REASON = 160  # characters of the list's column
MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds


def badge(row: TaskRecord) -> SafeString:
    """Show the status, and what one would like to know about it at a glance."""
    kind, text = _kind(row)
    return format_html('<span class="job-badge job-{}">{}</span>', kind, text)


def _kind(row: TaskRecord) -> tuple[str, Any]:
    if row.status == Status.READY and row.run_after and row.run_after > timezone.now():
        return ("retry", _("Retrying")) if row.errors else ("later", _("Later"))
    if row.status == Status.RUNNING and row.cancel_asked:
        return "running", _("Cancelling")
    if row.status == Status.FAILED and not row.path:
        return "failed", _("Unreadable")
    return row.status.lower(), Status(row.status).label if row.status in Status else row.status


def task(row: TaskRecord) -> str | SafeString:
    """Show the last part of the path, and where it is in small."""
    module, _dot, name = row.path.rpartition(".")
    if not name:
        return _("unreadable message")
    return format_html('<b>{}</b><br><small class="job-quiet">{}</small>', name, module)


def took(row: TaskRecord) -> str | SafeString:
    """Show how long it ran, or has been running, and how far it is."""
    begun = row.last_attempted_at or row.started_at
    ended = timezone.now() if row.status == Status.RUNNING else row.finished_at
    if begun is None or ended is None:
        return progress(row) or "-"
    duration = span(max(0.0, (ended - begun).total_seconds()))
    return format_html('<span class="job-number">{}</span> {}', duration, progress(row))


def span(seconds: float) -> str:
    """Write a duration with as many digits as it deserves."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE // 1:02.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:02.0f} min"


def since(moment: datetime) -> str:
    """Write how long ago that was, in one unit."""
    seconds = max(0.0, (timezone.now() - moment).total_seconds())
    for size, unit in ((DAY, _("d")), (HOUR, _("h")), (MINUTE, _("min"))):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} {_('s')}"


def age(moment: datetime | None) -> str | SafeString:
    """Show how long ago that was; the exact time when the mouse is over it."""
    if moment is None:
        return "-"
    shown = _("%s ago") % since(moment)
    return format_html(
        '<time class="job-number" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exact(moment),
        shown,
    )


def exact(moment: datetime) -> str:
    """Write a time to the second, in the project's or the visitor's time zone."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def attempts(row: TaskRecord) -> str | SafeString:
    """Show how often it was begun, and how many workers died of it."""
    if not row.deaths:
        return str(row.attempt)
    dead = _("%d died") % row.deaths
    return format_html('{} <small class="job-bad">{}</small>', row.attempt, dead)


def progress(row: TaskRecord) -> str | SafeString:
    """Show a bar where the job says how far it is."""
    said = row.progress if isinstance(row.progress, dict) else {}
    done, total = said.get("done"), said.get("total")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return "" if done is None else str(done)
    return format_html(
        '<progress value="{}" max="{}" title="{}"></progress>',
        min(done, total),
        total,
        f"{done} / {total} {said.get('message') or ''}".strip(),
    )


def reason(row: TaskRecord) -> SafeString:
    """Show the last line of the last traceback."""
    return format_html('<span class="job-reason">{}</span>', shortened(reason_of(row)) or "-")


def shortened(line: str) -> str:
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def times(row: TaskRecord) -> SafeString:
    """Show what happened when, as far as it did."""
    moments = (
        (_("enqueued"), row.enqueued_at),
        (_("due"), row.run_after),
        (_("begun"), row.started_at),
        (_("last begun"), row.last_attempted_at if row.attempt > 1 else None),
        (_("ended"), row.finished_at),
        (_("lease ends"), row.leased_until if row.status == Status.RUNNING else None),
        (_("published next"), row.publish_at),
        (_("forgotten"), row.expires_at),
    )
    return format_html(
        '<table class="job-times">{}</table>',
        format_html_join(
            "",
            "<tr><th>{}</th><td>{}</td></tr>",
            ((name, exact(moment)) for name, moment in moments if moment),
        ),
    )


def workers(row: TaskRecord) -> str | SafeString:
    """Show who has run it, in order."""
    return format_html_join(", ", "{}", ((name,) for name in row.worker_ids)) or "-"


def as_json(value: Any) -> SafeString:
    """Show a value as readable JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="job-text">{}</pre>', text)


def text(value: str) -> str | SafeString:
    """Show text as it is."""
    return format_html('<pre class="job-text">{}</pre>', value) if value else "-"


def history(row: TaskRecord) -> str | SafeString:
    """Show every attempt that raised, the last one open."""
    if not row.errors:
        return _("No attempt has raised.")
    last = len(row.errors)
    return format_html_join(
        "",
        '<details class="job-attempt"{}><summary><b>{}</b> {} <small class="job-quiet">{}</small></summary>'
        '<pre class="job-text">{}</pre></details>',
        (
            (
                " open" if number == last else "",
                number,
                error.get("exception_class_path", ""),
                error.get("at") or "",
                error.get("traceback", ""),
            )
            for number, error in enumerate(row.errors, 1)
        ),
    )
