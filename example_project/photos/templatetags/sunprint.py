"""Small pieces of the pages: icons, portraits, names and ages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.safestring import SafeString, mark_safe

from example_project.photos.people import display_name, profile_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AbstractBaseUser as User

register = template.Library()

COLOURS = 8
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800

# 24 by 24, drawn with a line of 1.75.
ICONS = {
    "home": '<path d="M4 11 12 4l8 7v8a1 1 0 0 1-1 1h-4v-6H9v6H5a1 1 0 0 1-1-1z"/>',
    "explore": '<circle cx="12" cy="12" r="8.5"/><path d="m15.5 8.5-2 5-5 2 2-5z"/>',
    "add": '<rect x="3.5" y="3.5" width="17" height="17" rx="4"/><path d="M12 8v8M8 12h8"/>',
    "heart": (
        '<path d="M12 20s-7.5-4.6-7.5-10.2A4.3 4.3 0 0 1 8.8 5.5c1.4 0 2.6.7 3.2 1.8'
        '.6-1.1 1.8-1.8 3.2-1.8a4.3 4.3 0 0 1 4.3 4.3C19.5 15.4 12 20 12 20z"/>'
    ),
    "comment": '<path d="M20 11.5a7.5 7.5 0 0 1-11 6.6L4.5 19.5l1.4-4.2A7.5 7.5 0 1 1 20 11.5z"/>',
    "trash": '<path d="M5 7h14M10 7V5h4v2M7 7l.8 12h8.4L17 7M10.5 11v4.5M13.5 11v4.5"/>',
    "camera": (
        '<path d="M4 8.5A1.5 1.5 0 0 1 5.5 7H8l1.2-2h5.6L16 7h2.5A1.5 1.5 0 0 1 20 8.5v9'
        'a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5z"/><circle cx="12" cy="13" r="3.5"/>'
    ),
    "sun": (
        '<circle cx="12" cy="12" r="4"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2'
        'M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>'
    ),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon inside the page, where no other host has to be asked for it."""
    svg = f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{ICONS[name]}</svg>'
    return mark_safe(svg)  # noqa: S308 - made of the constants above


@register.inclusion_tag("photos/_avatar.html")
def avatar(user: User, size: str = "small") -> dict[str, object]:
    """Show the portrait of `user`, or their initials on a colour of their own."""
    name = display_name(user)
    return {
        "image": profile_of(user).avatar,
        "initials": initials(name),
        "colour": user.pk % COLOURS,
        "size": size,
    }


def initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.filter
def name(user: User) -> str:
    return display_name(user)


@register.filter
def ago(moment: datetime) -> str:
    """Say how long ago `moment` was, in two or three characters while it is recent."""
    seconds = (timezone.now() - moment).total_seconds()
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h"
    if seconds < WEEK:
        return f"{seconds // DAY:.0f} d"
    return format_date(timezone.localtime(moment), "j M Y")


@register.filter
def compact(number: int) -> str:
    """Write 12800 as 12.8k."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + letter
    return str(number)
