"""Pickle, the default: every Python value, and quick. Read only what bears this project's signature.

Pickle gives an instance the attributes it was stored with, whatever its class has become since: a
dataclass with a new field comes back without it and fails later, somewhere else. So a value with instances
carries the fields of their classes, and is unreadable once they differ.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import sys
from functools import lru_cache
from typing import Any

from scalekit.cache.exceptions import UncacheableValue, Unreadable
from scalekit.cache.serializers.base import Serializer

Shape = tuple[str, ...]
Shapes = list[tuple[type, Shape]]


class PickleSerializer(Serializer):
    codec = b"p"

    def dumps(self, value: Any) -> bytes:
        try:
            payload, classes = _pickled(value)
            named = filter(_has_a_name, classes)
            shapes = [(kind, shape) for kind in named if (shape := shape_of(kind))]
            return _pickled(_Shaped(shapes, value))[0] if shapes else payload
        except Exception as error:
            msg = f"A {type(value).__name__} cannot be stored: {error}. Return plain data instead."
            raise UncacheableValue(msg) from error

    loads = staticmethod(pickle.loads)  # type: ignore[assignment]  # C, without a frame of ours: the hit path


@lru_cache(maxsize=1024)
def shape_of(kind: type) -> Shape:
    """Return the fields of a dataclass, attrs class, model, named tuple or class with slots, else ()."""
    if dataclasses.is_dataclass(kind):
        return tuple(f"{field.name}: {field.type!r}" for field in dataclasses.fields(kind))
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(f"{field.name}: {field.type!r}" for field in kind.__attrs_attrs__)
    if hasattr(kind, "_meta") and hasattr(kind._meta, "concrete_fields"):  # noqa: SLF001 - Django's API
        fields = kind._meta.concrete_fields  # noqa: SLF001 - a model's options are there
        return tuple(f"{field.attname}: {field.get_internal_type()}" for field in fields)
    if hasattr(kind, "_fields"):
        return tuple(kind._fields)
    slots = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    return tuple(name for group in slots for name in ([group] if isinstance(group, str) else group))


def _has_a_name(kind: type) -> bool:
    """Return whether a class is found where it says it is: others see to it themselves what they are made of."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


class _Pickler(pickle.Pickler):
    """Take down the classes of the instances that go by; builtins pass in C, unseen."""

    def __init__(self, written: io.BytesIO) -> None:
        super().__init__(written, pickle.HIGHEST_PROTOCOL)
        self.classes: set[type] = set()

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, type):
            self.classes.add(type(value))
        return NotImplemented


def _pickled(value: Any) -> tuple[bytes, set[type]]:
    written = io.BytesIO()
    pickler = _Pickler(written)
    pickler.dump(value)
    return written.getvalue(), pickler.classes


class _Shaped:
    """A value with the shapes of its classes; it is unpickled as the value alone."""

    def __init__(self, shapes: Shapes, value: Any) -> None:
        self._parts = (shapes, value)

    def __reduce__(self) -> Any:
        return _checked, self._parts


def _checked(shapes: Shapes, value: Any) -> Any:
    for kind, shape in shapes:
        if shape_of(kind) != shape:
            raise Unreadable(f"The fields of {kind.__qualname__} have changed.")
    return value
