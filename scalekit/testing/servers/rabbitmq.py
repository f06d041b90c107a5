"""RabbitMQ, with the port mapper that every Erlang node needs."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Server
from .binaries import RABBITMQ
from .ports import is_free

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .waiting import Waits

USER = "scalekit"
SLOWNESS = (
    1.5  # four seconds of computing until it answers, which a busy machine has stretched to forty
)
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"  # Connection.Start; a server that refuses answers with a header of its own

# Small marks: these servers run beside twenty others. Sizes are in bytes.
_CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
default_user = {user}
default_pass = {password}
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 50000000
vm_memory_high_watermark.absolute = 500000000
raft.wal_max_size_bytes = 16000000
"""

# A port mapper that the node has to start itself becomes a daemon, which would outlive us.
_SCRIPT = """\
epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" &
until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1; do
  kill -0 $! 2>/dev/null || exit 1
  sleep 0.02
done
exec "$0"
"""


@dataclass(frozen=True, slots=True)
class NodePorts:
    """What an Erlang node listens on beside its service: the port mapper, and the other nodes and tools."""

    mapper: int
    distribution: int


class RabbitMQ(Server):
    """A RabbitMQ server of one node; its queues and messages outlive a restart."""

    def __init__(
        self,
        name: str,
        folder: Path,
        port: int,
        node_ports: NodePorts,
        *,
        waits: Waits | None = None,
    ) -> None:
        """Describe it without starting it."""
        super().__init__(name, folder, port, waits=waits)
        self.node_ports = node_ports

    @property
    def url(self) -> str:
        """The address of its first virtual host, for pika or Dramatiq."""
        return f"amqp://{USER}:{self.password}@{self.address}/%2F"

    @property
    def password(self) -> str:
        """The password of the one user, made when it is first asked for."""
        return self._secret("password")

    def prepare(self) -> None:
        """Write the configuration, the plugins (none) and the secret of the node."""
        self._cookie()
        self._file("rabbitmq.conf").write_text(
            _CONFIGURATION.format(host=self.host, port=self.port, user=USER, password=self.password)
        )
        self._file("enabled_plugins").write_text("[].\n")
        self._file("rabbitmq-env.conf").write_text("")

    def environment(self) -> Mapping[str, str]:
        """Return our environment with everything that RabbitMQ would otherwise look for in the system's folders."""
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            **{name: value for name, value in os.environ.items() if "RABBITMQ" not in name},
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self.node_ports.mapper),
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_DIST_PORT": str(self.node_ports.distribution),
            "RABBITMQ_CONF_ENV_FILE": str(self._file("rabbitmq-env.conf")),
            "RABBITMQ_CONFIG_FILE": str(self._file("rabbitmq.conf")),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._file("enabled_plugins")),
            "RABBITMQ_MNESIA_BASE": str(self._file("data")),
            "RABBITMQ_LOG_BASE": str(self._file("log")),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{loopback} +S 2:2 +sbwt none",
        }

    def command(self) -> Sequence[str | Path]:
        """Return the port mapper and the server, as one family of processes."""
        return ["/bin/sh", "-c", _SCRIPT, RABBITMQ.find()]

    def is_ready(self) -> bool:
        """Tell whether it begins to speak AMQP; it opens the port last of all."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, self.port), timeout=1.0) as connection,
        ):
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == _METHOD_FRAME
        return False

    def wait_ready(self, seconds: float | None = None) -> None:
        """Return when it answers; it may take `SLOWNESS` times as long as another server."""
        super().wait_ready(self.waits.start * SLOWNESS if seconds is None else seconds)

    def kill(self) -> None:
        """End all its processes with SIGKILL and wait until its ports are free: its threads end after its process."""
        super().kill()
        ports = (self.port, self.node_ports.mapper, self.node_ports.distribution)
        self.waits.until(lambda: all(map(is_free, ports)), f"the ports of {self.name} to be free")

    def _cookie(self) -> None:
        """Write what nodes and tools know each other by; Erlang refuses one that others could read."""
        self._secret(".erlang.cookie")

    def _secret(self, name: str) -> str:
        path = self._file(name)
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
            path.chmod(0o400)
        return path.read_text()

    def _file(self, name: str) -> Path:
        return self.folder / name
