"""Settings: typed, with default and help beside the name, read on use.

    class DbSettings(Settings):
        prefix = "SCALEKIT_DB_"
        MAX_LAG = Setting(10.0, "Seconds a replica may lag before it is left out.", kind=(int, float))

    settings = DbSettings()
    settings.MAX_LAG            # SCALEKIT_DB_MAX_LAG of the project, or 10.0

A value is checked when it is first read and forgotten when Django says that the setting changed, so
`override_settings` works everywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.views.debug import SafeExceptionReporterFilter

import scalekit
from scalekit.core.exceptions import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_UNSET: Any = object()
_USERINFO = re.compile(r"(:/*)(?! ).*@")  # of a URL, even of a mistyped one


class Setting(Generic[T]):
    """One setting of a `Settings` class.

    `default` may be a function, called when the project sets nothing (for lists and dicts). `kind` is
    the type, or types, that a value must have; `valid` may refuse further, and `expected` then says in
    words what it accepts. `example` is what the error tells to write, where the default would not help.
    """

    def __init__(
        self,
        default: T | Callable[[], T],
        help: str,  # noqa: A002 - the word that users of argparse and click know
        *,
        kind: type | tuple[type, ...],
        valid: Callable[[T], bool] | None = None,
        expected: str = "",
        example: T | None = None,
    ) -> None:
        self.default = default
        self.help = help
        self.kinds = kind if isinstance(kind, tuple) else (kind,)
        self.valid = valid
        self.expected = expected or " or ".join(k.__name__ for k in self.kinds)
        self.example = example
        self.name = ""

    def __set_name__(self, owner: type[Settings], name: str) -> None:
        self.name = owner.prefix + name
        known_settings[self.name] = self

    @overload
    def __get__(self, instance: None, owner: type[Settings]) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Settings, owner: type[Settings]) -> T: ...
    def __get__(self, instance: Settings | None, owner: type[Settings]) -> Setting[T] | T:
        if instance is None:
            return self
        value: T = _values.get(self.name, _UNSET)
        if value is _UNSET:
            value = _values[self.name] = self.read()
        return value

    def read(self) -> T:
        """Return the project's value, or the default. Raises `SettingInvalid`."""
        value: T = getattr(django_settings, self.name, _UNSET)
        if value is _UNSET:
            return self._default()
        if not self._accepts(value):
            shown = repr(SafeExceptionReporterFilter().cleanse_setting(self.name, value))
            shown = _USERINFO.sub(r"\1********@", shown)
            msg = f"{self.name} = {shown}: expected {self.expected}. {self.help} {self._remedy()}"
            raise SettingInvalid(msg)
        return value

    def _accepts(self, value: Any) -> bool:
        if isinstance(value, bool) and bool not in self.kinds:
            return False
        of_kind = isinstance(value, self.kinds)
        return of_kind and (self.valid is None or self.valid(value))

    def _default(self) -> T:
        default: Any = self.default
        value: T = default() if callable(default) else default
        return value

    def _remedy(self) -> str:
        default = self._default()
        example = default if self.example is None else self.example
        return f"Write for example {self.name} = {example!r}, or remove the line: the default is {default!r}."


known_settings: dict[str, Setting[Any]] = {}
_values: dict[str, Any] = {}


class Settings:
    """A group of settings with one prefix; the class lists them, an instance reads them."""

    prefix: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.prefix.startswith("SCALEKIT_"):
            msg = f"{cls.__name__}.prefix must begin with SCALEKIT_, not {cls.prefix!r}"
            raise TypeError(msg)


def load_all_settings() -> dict[str, Setting[Any]]:
    """Import every rung's `conf` module and return all settings by name."""
    for module in pkgutil.iter_modules(scalekit.__path__):
        if module.ispkg and _has_conf(module.name):
            importlib.import_module(f"scalekit.{module.name}.conf")
    return known_settings


def _has_conf(rung: str) -> bool:
    path = [f"{root}/{rung}" for root in scalekit.__path__]
    return any(module.name == "conf" for module in pkgutil.iter_modules(path))


def _forget(*, setting: str, **_: Any) -> None:
    _values.pop(setting, None)


setting_changed.connect(_forget, dispatch_uid="scalekit.core.conf")
