"""The load balancer in front of the web servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalekit.testing.servers.exceptions import ServerError

from .server import Nginx, template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scalekit.testing.servers.waiting import Waits


class LoadBalancer(Nginx):
    """Spreads requests over `upstreams`, and asks the next one when one fails.

    A server that has failed is left alone for `retry_after` seconds. It sees X-Request-ID (a new one if the visitor
    sent none), X-Forwarded-For and X-Forwarded-Proto, and no X-Forwarded-Host, which would be the visitor's. `read_timeout` is how
    long one may take to answer, in seconds.
    """

    def __init__(  # noqa: PLR0913 - three places every server has, and options by name
        self,
        name: str,
        folder: Path,
        port: int,
        upstreams: Sequence[str],
        *,
        read_timeout: int = 60,
        retry_after: int = 2,
        waits: Waits | None = None,
    ) -> None:
        """Describe it without starting it; an upstream is `host:port`."""
        super().__init__(name, folder, port, waits=waits)
        self.upstreams = tuple(upstreams)
        self.read_timeout, self.retry_after = read_timeout, retry_after

    def reload(self, upstreams: Sequence[str] | None = None) -> None:
        """Take over another list of upstreams, or the same again, without losing a request."""
        if upstreams is not None:
            self.upstreams = tuple(upstreams)
        super().reload()

    def rendered_http(self) -> str:
        """Return the configuration. Raises `ServerError` when there is no upstream."""
        if not self.upstreams:
            raise ServerError(f"{self.name} has no upstream: name at least one host:port")
        rule = f"max_fails=1 fail_timeout={self.retry_after}s"
        return template("load_balancer.conf").substitute(
            address=self.address,
            servers="\n".join(f"    server {upstream} {rule};" for upstream in self.upstreams),
            read_timeout=self.read_timeout,
        )
