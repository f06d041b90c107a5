"""Plug points: alias -> ``{"BACKEND": "dotted.path", "OPTIONS": {...}}``, the shape Django users know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from scalekit.core.exceptions import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

B = TypeVar("B")


class Backends(Generic[B]):
    """The objects behind one such setting, made on first use and again after the setting changed.

    A backend is called as ``BACKEND(alias, **OPTIONS)``. Any fault in the setting raises
    `SettingInvalid`, naming the setting, the alias and what to write.
    """

    def __init__(
        self, name: str, base: type[B], read: Callable[[], Mapping[str, Mapping[str, Any]]]
    ) -> None:
        self.name, self._base, self._read = name, base, read
        self._made: dict[str, B] = {}
        setting_changed.connect(self._forget, dispatch_uid=f"scalekit.backends.{name}", weak=False)

    def __getitem__(self, alias: str) -> B:
        if alias not in self._made:
            self._made.setdefault(alias, self._make(alias))  # of two threads, both get the first
        return self._made[alias]

    def __contains__(self, alias: object) -> bool:
        return alias in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def _make(self, alias: str) -> B:
        config = self._read().get(alias)
        if config is None:
            known = ", ".join(self._read()) or "none"
            raise self._invalid(alias, f"no such alias; the setting has {known}")
        if not isinstance(config, dict) or "BACKEND" not in config:
            raise self._invalid(alias, 'write {"BACKEND": "dotted.path", "OPTIONS": {...}}')
        backend: Callable[..., B] = self._load(alias, config["BACKEND"])
        try:
            return backend(alias, **config.get("OPTIONS", {}))
        except (TypeError, ValueError) as error:
            raise self._invalid(
                alias, f"{config['BACKEND']} refuses its OPTIONS: {error}"
            ) from error

    def _load(self, alias: str, path: str) -> type[B]:
        try:
            backend = import_string(path)
        except (ImportError, AttributeError) as error:  # AttributeError: a path that is no text
            raise self._invalid(alias, f"BACKEND {path!r} cannot be imported: {error}") from error
        if not (isinstance(backend, type) and issubclass(backend, self._base)):
            raise self._invalid(alias, f"{path} is no {self._base.__name__}")
        return backend

    def _invalid(self, alias: str, why: str) -> SettingInvalid:
        return SettingInvalid(f"{self.name}[{alias!r}]: {why}.")

    def _forget(self, *, setting: str, **_: Any) -> None:
        if setting == self.name:
            self._made.clear()
