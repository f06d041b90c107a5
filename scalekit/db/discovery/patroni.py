"""Ask Patroni's REST API, which runs beside every PostgreSQL server that it looks after."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from scalekit.db.discovery.base import Address, Discovery
from scalekit.db.exceptions import PrimaryDown

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVING = frozenset(
    {"streaming", "running"}
)  # not "in archive recovery", which lags by whole files
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One server, as Patroni sees it."""

    address: Address
    leads: bool
    fit: bool


class Patroni(Discovery):
    """Follow the leader of a Patroni cluster.

        "OPTIONS": {"urls": ["http://pg-1:8008", "http://pg-2:8008", "http://pg-3:8008"]}

    Any member answers for all; the first of `urls` that does within `timeout` seconds is believed, for
    `keep` seconds. A replica is fit unless it is tagged `noloadbalance` or does not stream. Where no member
    answers, the leader last known stays, and before the first answer the HOST of DATABASES counts.
    """

    def __init__(
        self, alias: str, *, urls: Sequence[str], timeout: float = 1.0, keep: float = 1.0
    ) -> None:
        super().__init__(alias)
        if isinstance(urls, str) or not urls:
            raise ValueError("urls is a list such as ['http://pg-1:8008', 'http://pg-2:8008']")
        if not all(url.startswith(("http://", "https://")) for url in urls):
            raise ValueError("each of urls begins with http:// or https://")
        self._urls = [f"{url.rstrip('/')}/cluster" for url in urls]
        self._timeout, self._keep = timeout, keep
        self._lock = threading.Lock()
        self._members: tuple[Member, ...] | None = None
        self._until = 0.0
        _made.add(self)

    def primary(self) -> Address | None:
        members = self._known()
        if members is None:
            return None
        for member in members:
            if member.leads:
                return member.address
        raise PrimaryDown(f"Patroni has no leader for {self.alias} at the moment.")

    def is_fit(self, replica: Address) -> bool:
        members = {member.address: member for member in self._known() or ()}
        return replica not in members or members[replica].fit

    def _known(self) -> tuple[Member, ...] | None:
        """Return the members; one thread asks anew, the others need not wait for it."""
        if time.monotonic() < self._until:
            return self._members
        if self._lock.acquire(blocking=self._members is None):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._members

    def _refresh(self) -> None:
        if time.monotonic() < self._until:
            return  # another thread has asked while this one waited
        for url in list(self._urls):
            try:
                self._members = read_members(self._get(url))
            except (OSError, HTTPException, ValueError, TypeError, KeyError, AttributeError):
                self._urls.append(self._urls.pop(0))  # begin with the next one from now on
            else:
                break
        self._until = time.monotonic() + self._keep

    def _get(self, url: str) -> Any:
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked above
        with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310 - checked above
            return json.loads(answer.read(MAX_BYTES))


_made: weakref.WeakSet[Patroni] = weakref.WeakSet()


def _forget_after_fork() -> None:
    """Make new locks: one that a thread of the parent held while it asked stays locked in the child."""
    for patroni in _made:
        patroni._lock = threading.Lock()  # noqa: SLF001 - ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def read_members(cluster: Any) -> tuple[Member, ...]:
    """Read the answer to GET /cluster. Raises what an answer of another kind deserves."""
    return tuple(_member(found) for found in cluster["members"] if "host" in found)


def _member(found: Any) -> Member:
    # `master` is Patroni 3's word. A standby cluster's leader takes no writes.
    leads = found["role"] in {"leader", "master"}
    tagged_off = bool((found.get("tags") or {}).get("noloadbalance"))
    fit = not tagged_off and (leads or found.get("state") in SERVING)
    return Member((str(found["host"]), str(found.get("port", 5432))), leads, fit)
