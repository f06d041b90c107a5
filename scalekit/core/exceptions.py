"""The root of every exception that scalekit raises on purpose."""

from __future__ import annotations

import inspect

from django.core.exceptions import ImproperlyConfigured


class ScalekitError(Exception):
    """scalekit cannot do what was asked."""

    def __init__(self, message: str = "") -> None:
        """Take `message`, or the first line of the class's docstring."""
        super().__init__(message or (inspect.getdoc(type(self)) or "").partition("\n")[0])


class SettingInvalid(ScalekitError, ImproperlyConfigured):
    """A setting has a value that cannot be used."""
