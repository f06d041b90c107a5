"""System checks of what every rung shares: its settings."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register

from scalekit.core.conf import load_all_settings
from scalekit.core.exceptions import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "SCALEKIT_"


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """Find SCALEKIT_* settings that do not exist or whose value cannot be used."""
    return [*_unknown_names(), *_unusable_values()]


def _unknown_names() -> Iterator[CheckMessage]:
    known = load_all_settings()
    for name in dir(django_settings):
        if name.startswith(PREFIX) and name not in known:
            # Compared without the prefix, which makes all of them look alike.
            words = [other.removeprefix(PREFIX) for other in known]
            close = get_close_matches(name.removeprefix(PREFIX), words, n=1)
            hint = (
                f"Did you mean {PREFIX}{close[0]}?"
                if close
                else f"Known are: {', '.join(sorted(known))}."
            )
            yield Error(f"There is no setting {name}.", hint=hint, id="scalekit.core.E001")


def _unusable_values() -> Iterator[CheckMessage]:
    for setting in load_all_settings().values():
        try:
            setting.read()
        except SettingInvalid as error:
            yield Error(str(error), id="scalekit.core.E002")
