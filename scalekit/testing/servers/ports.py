"""Free ports of this machine's loopback address."""

from __future__ import annotations

import contextlib
import random
import socket
import sys

from .exceptions import PortTaken

HOST = "127.0.0.1"

# Below the range from which Linux, macOS and IANA take the ports of outgoing connections: one of those could
# otherwise sit on a server's port while it is down, and keep it from coming back.
_RANGE = range(15_000, 32_000)


class Ports:
    """Hands out ports that are free and that no other topology of this machine has been given."""

    def __init__(self) -> None:
        """Start with no claims."""
        self._claims: dict[int, socket.socket | None] = {}

    def take(self) -> int:
        """Return a free port and keep other topologies off it until `close`."""
        for port in random.sample(_RANGE, k=500):
            if port not in self._claims and is_free(port) and self._claim(port):
                return port
        raise PortTaken(f"no free port of {HOST} was found between {_RANGE[0]} and {_RANGE[-1]}")

    def close(self) -> None:
        """Give up every claim."""
        for claim in self._claims.values():
            if claim is not None:
                claim.close()
        self._claims.clear()

    def _claim(self, port: int) -> bool:
        """Bind a name of Linux' abstract socket space for the port: it needs no file and goes when we go."""
        if sys.platform != "linux":
            self._claims[port] = None
            return True
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0scalekit-port-{port}")
        except OSError:
            claim.close()
            return False
        self._claims[port] = claim
        return True


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int, seconds: float = 1.0) -> bool:
    """Tell whether something accepts connections on the port within `seconds`."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=seconds):
        return True
    return False
