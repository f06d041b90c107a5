"""The edge of a CDN: a shared cache in front of an origin."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from .server import Nginx, template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scalekit.testing.servers.waiting import Waits

_ELSEWHERE = """\
    location / {
      add_header Cache-Control no-store always;
      return 404;
    }"""


class CdnEdge(Nginx):
    """Answers for the paths under `prefixes` from its cache, and asks `origin` for what it does not have.

    It keeps what the origin's Cache-Control allows, for as long, and serves it stale when the origin is down. The
    header X-Cache says MISS, HIT, STALE ...; other paths are 404. Cookies do not reach the origin.
    """

    def __init__(  # noqa: PLR0913 - three places every server has, and options by name
        self,
        name: str,
        folder: Path,
        port: int,
        origin: str,
        *,
        prefixes: Sequence[str] = ("/static/", "/media/"),
        origin_host: str | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Describe it without starting it; `origin_host` is the Host header for the origin (default: its address)."""
        super().__init__(name, folder, port, waits=waits)
        self.origin, self.prefixes = origin, tuple(prefixes)
        self.origin_host = origin_host or origin

    def rendered_http(self) -> str:
        """Return the configuration."""
        location = template("cdn_edge_location.conf")
        elsewhere = "" if "/" in self.prefixes else _ELSEWHERE
        locations = (
            location.substitute(prefix=prefix, origin=self.origin, origin_host=self.origin_host)
            for prefix in self.prefixes
        )
        return template("cdn_edge.conf").substitute(
            address=self.address, locations="\n".join([*locations, elsewhere])
        )

    def purge(self, path: str) -> bool:
        """Drop one path (with its query string) from the cache; tell whether it was there."""
        digest = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()
        file = self._cache / digest[-1] / digest[-3:-1] / digest
        existed = file.exists()
        file.unlink(missing_ok=True)
        return existed

    def purge_all(self) -> None:
        """Drop everything from the cache."""
        for folder in self._cache.iterdir():
            shutil.rmtree(folder)

    @property
    def _cache(self) -> Path:
        return self.folder / "cache"
