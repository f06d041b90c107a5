"""One Redis hash a session, one field a key, so that a save writes only what it changed.

The idea is Spring Session's, with one script in place of its two commands: existence, fields and expiry are
checked and written in one step. Beside the sessions, a sorted set for each user names theirs.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from scalekit.sessions.conf import settings
from scalekit.sessions.events import SESSION_UNREADABLE
from scalekit.sessions.records import Record, StoredSession
from scalekit.sessions.servers import Asking, Command, Script, current_server
from scalekit.sessions.stores.base import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.sessions.records import Change
    from scalekit.sessions.steps import Steps

FORMAT = b"1"
PREFIX = "scalekit:session:"
INDEX = "scalekit:sessions-of:"

SAVE = Script.beside(__file__, "save")
END = Script.beside(__file__, "end")
OF_OWNER = Script.beside(__file__, "of_owner")


class RedisStore(Store):
    """Sessions in Redis or Valkey, and nowhere else."""

    uses_redis = True

    def load(self, name: str) -> Steps[Record | None]:
        answer = yield Command("load", "HGETALL", PREFIX + name)
        # A map since the protocol's third version, pairs before.
        found = answer if isinstance(answer, dict) else dict(zip(*[iter(answer)] * 2, strict=True))
        if not found or b"ended" in found:
            return None
        return _record(found)

    def exists(self, name: str) -> Steps[bool]:
        return bool((yield Command("exists", "EXISTS", PREFIX + name)))

    def save(self, name: str, change: Change) -> Steps[Record | None]:
        changed = change.changed
        pairs = [part for field in changed.items() for part in field]
        limit = int(settings.ABSOLUTE_SECONDS)
        head = [change.mode, change.seconds, limit, change.owner, INDEX, len(changed)]
        created = yield from SAVE("save", [PREFIX + name], *head, *pairs, *change.removed)
        return Record(change.fields, float(created), time()) if created else None

    def delete(self, name: str, tombstone: int = 0) -> Steps[None]:
        yield from END("delete", [PREFIX + name], INDEX, tombstone)

    def has_ended(self, name: str) -> Steps[bool]:
        return bool((yield Command("load", "HEXISTS", PREFIX + name, "ended")))

    def of_owner(self, owner: str) -> Steps[list[StoredSession]]:
        rows = yield from OF_OWNER("list", [INDEX + owner])
        now = time()
        found = [
            StoredSession(
                name.decode().removeprefix(PREFIX), float(created), float(saved), now + left
            )
            for name, created, saved, left in rows
        ]
        return sorted(found, key=lambda session: session.saved, reverse=True)

    def statistics(self) -> dict[str, int | str]:
        """Count the sessions by SCAN, which blocks nobody, and say what the server says of itself."""
        server = current_server()
        with Asking(server, "count"):
            return self._statistics(server.client)

    def _statistics(self, client: Any) -> dict[str, int | str]:
        info = client.info()
        return {
            "sessions": sum(_are_sessions(client, page) for page in _pages(client, PREFIX)),
            "users": sum(len(page) for page in _pages(client, INDEX)),
            "memory_bytes": info["used_memory"],
            "memory_limit_bytes": info.get("maxmemory", 0),
            "eviction_policy": info.get("maxmemory_policy", ""),
            "evicted_keys": info.get("evicted_keys", 0),
        }


def _record(found: dict[bytes, bytes]) -> Record | None:
    if found.get(b"format") != FORMAT:
        SESSION_UNREADABLE.emit(error="another format")
        return None
    fields = {name: value for name, value in found.items() if name.startswith(b"key:")}
    return Record(fields, float(found.get(b"created", 0)), float(found.get(b"saved", 0)))


def _pages(client: Any, prefix: str) -> Iterator[list[bytes]]:
    cursor = -1
    while cursor:
        cursor, names = client.scan(max(0, cursor), match=f"{prefix}*", count=1000)
        yield names


def _are_sessions(client: Any, names: list[bytes]) -> int:
    """Count those that are no tombstones."""
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hexists(name, "format")
        return sum(pipeline.execute())
