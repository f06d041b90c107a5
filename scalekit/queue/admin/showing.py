"""How the pages show a job. Whoever enqueues one chooses what is in it, so all of it is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

LONGEST_REASON = 160  # characters of the list's column
MINUTE, HOUR = 60, 3600  # seconds


def badge(row: TaskRecord) -> SafeString:
    """Show the status, and what one would like to know about it at a glance."""
    kind, text = _kind(row)
    return format_html('<span class="job-badge job-{}">{}</span>', kind, text)


def _kind(row: TaskRecord) -> tuple[str, Any]:
    if row.status == Status.READY and row.publish_at and row.publish_at > timezone.now():
        return ("retry", _("Retrying")) if row.attempt else ("later", _("Later"))
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


def took(row: TaskRecord) -> str:
    """Show how long it ran, or has been running."""
    begun = row.last_attempted_at or row.started_at
    if begun is None:
        return "-"
    ended = timezone.now() if row.status == Status.RUNNING else row.finished_at
    return "-" if ended is None else span(max(0.0, (ended - begun).total_seconds()))


def span(seconds: float) -> str:
    """Write a duration with as many digits as it deserves."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:02.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:02.0f} min"


def age(moment: datetime | None) -> str | SafeString:
    """Show how long ago that was; the exact time when the mouse is over it."""
    if moment is None:
        return "-"
    text = timesince(moment, depth=1)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z"),
        text,
    )


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


def reason(row: TaskRecord) -> str:
    """Show the last line of the last traceback."""
    if not row.errors:
        return "-"
    last = row.errors[-1]
    lines = str(last.get("traceback", "")).strip().splitlines() or [""]
    text = lines[-1] or str(last.get("exception_class_path", ""))
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


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
