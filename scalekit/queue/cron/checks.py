"""System checks of SCALEKIT_QUEUE_CRON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error

from scalekit.core.exceptions import SettingInvalid
from scalekit.queue.conf import settings
from scalekit.queue.exceptions import CronInvalid, DependencyMissing

if TYPE_CHECKING:
    from collections.abc import Iterator


def cron_flaws() -> Iterator[CheckMessage]:
    """Find entries that could never be fired."""
    try:
        entries, _ = settings.CRON, settings.CRON_CATCH_UP
    except SettingInvalid:  # the check of all settings says so
        return
    if not entries:
        return
    if not django_settings.USE_TZ:
        yield Error(
            "SCALEKIT_QUEUE_CRON needs to know what time it is, and USE_TZ is False.",
            hint="Write USE_TZ = True; an entry's own zone is its TIME_ZONE.",
            id="scalekit.queue.E031",
        )
    for name, params in entries.items():
        yield from _flaws(name, params)


def _flaws(name: Any, params: Any) -> Iterator[CheckMessage]:
    from scalekit.queue.cron.entries import check_call, read_entry

    try:
        check_call(read_entry(name, params))
    except (CronInvalid, DependencyMissing) as error:
        yield Error(f"SCALEKIT_QUEUE_CRON[{name!r}]: {error}", id="scalekit.queue.E030")
