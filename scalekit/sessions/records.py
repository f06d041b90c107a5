"""What a store keeps of a session, and what a save changes in it. Knows neither Django nor any store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

# One field for each key of the session: b"key:<name>" -> serialised {name: value}.
Fields = dict[bytes, bytes]
Mode = Literal["create", "update", "replace"]

UNKNOWN = -1  # a version that nothing has
UNCHANGING = (str, int, float, bool, type(None), bytes)
# Every pickle since protocol 2 begins so, and no field of ours: it is a map of one.
PICKLED = b"\x80"


@dataclass(frozen=True, slots=True)
class Record:
    """A session as it lies in the store. Times are Unix time, in seconds."""

    fields: Mapping[bytes, bytes]
    created: float
    saved: float
    version: int = 0
    expires: float = 0

    def as_known(self, fields: Fields) -> Record:
        """Return it as a request knows it that saved `fields`: what others have added it has not seen.

        Then it has no version, so that the next save of this request merges again and deletes nothing of theirs.
        """
        version = self.version if self.fields == fields else UNKNOWN
        return replace(self, fields=fields, version=version)


@dataclass(frozen=True, slots=True)
class Change:
    """One save: all fields as this request wants them, and what of that it has changed since `base`.

    `seconds` is how long the session lives from now; not above 0, it ends. `owner` is the user's id.
    """

    mode: Mode
    fields: Fields
    base: Record | None
    seconds: int
    owner: str = ""

    @property
    def before(self) -> Mapping[bytes, bytes]:
        return self.base.fields if self.base and self.mode == "update" else {}

    @property
    def changed(self) -> Fields:
        before = self.before
        return {name: value for name, value in self.fields.items() if before.get(name) != value}

    @property
    def removed(self) -> AbstractSet[bytes]:
        return self.before.keys() - self.fields.keys()

    def merged_into(self, current: Mapping[bytes, bytes]) -> Fields:
        """Return `current`, as others have saved it meanwhile, with the changes of this request."""
        if self.mode != "update":
            return self.fields
        removed = self.removed
        return {n: v for n, v in current.items() if n not in removed} | self.changed


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One session of a user, as lists show it. `name` is what the store calls it: no cookie, no secret."""

    name: str
    created: float
    saved: float
    expires: float


def name_of(session_key: str | None) -> str:
    """Return what a store calls the session: who reads the store cannot log in with what is there."""
    return sha256((session_key or "").encode("utf-8", "surrogatepass")).hexdigest()


def name_of_user(owner: str) -> str:
    """Return the name under which a store remembers that all of a user's older sessions have ended."""
    return _mark("user", owner)


def name_of_copy(session_key: str) -> str:
    """Return the name under which a store remembers that it has copied a session of the previous engine."""
    return _mark("copy", session_key)


def _mark(kind: str, of: str) -> str:
    """Return a name that no cookie leads to: theirs have no colon. The length is that of a session's."""
    name = name_of(of)
    return f"{kind}:{name}"[: len(name)]


def write_fields(
    serializer: Any,
    data: Mapping[Any, Any],
    loaded: Mapping[Any, Any],
    stored: Mapping[bytes, bytes],
) -> Fields:
    """Return one field a key. JSON has no other keys than text, so the serializer is asked what it makes of them.

    A value that cannot change in its place, and is the very object that was `loaded`, stays as it is `stored`.
    """
    fields: Fields = {}
    for key, value in data.items():
        same = isinstance(value, UNCHANGING) and loaded.get(key, data) is value
        if same and (name := _field(key)) in stored:
            fields[name] = stored[name]
            continue
        field = serializer.dumps({key: value})
        fields[_field(key if isinstance(key, str) else next(iter(serializer.loads(field))))] = field
    return fields


def _field(key: Any) -> bytes:
    return f"key:{key}".encode("utf-8", "surrogatepass")


def read_fields(serializer: Any, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the session's data. Raises whatever the serializer raises for garbage, and ValueError for a pickle."""
    data: dict[str, Any] = {}
    for value in fields.values():
        if value.startswith(PICKLED):
            raise ValueError("a pickle, which is never loaded")
        data.update(serializer.loads(value))
    return data


def changed_inside(serializer: Any, data: Mapping[Any, Any], fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a list, dict or other object in `data` is no longer what `fields` say."""
    inside = {k: v for k, v in data.items() if not isinstance(v, UNCHANGING)}
    if not inside:
        return False
    try:
        return not write_fields(serializer, inside, {}, {}).items() <= fields.items()
    except (TypeError, ValueError):
        return True  # saving it will say what is wrong with it
