"""A whole topology under one folder: started piece by piece, and gone with the `with` block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .group import ServerGroup
from .nginx import CdnEdge, LoadBalancer, Nginx
from .postgres import Postgres
from .process import Command, Process
from .rabbitmq import NodePorts, RabbitMQ
from .valkey import Valkey

Settings = Mapping[str, str | float]


class Topology(ServerGroup):
    """Real servers in one folder, as a context manager.

    Every method that adds a server starts it and returns when it answers. On exit all are stopped, the last one
    first; a folder that was made here is removed (`keep` decides otherwise), and one that was there keeps its data,
    so that the next topology in it goes on from there. `templates` is where initialised clusters are kept for
    copying: topologies that share it run initdb once. `space` is how many megabytes must be free.
    """

    def postgres(
        self, name: str = "primary", *, port: int | None = None, settings: Settings | None = None
    ) -> Postgres:
        """Start a PostgreSQL primary; call it again for every shard. `settings` go into postgresql.conf."""
        return self.add(self._new_postgres(name, port, settings))

    def postgres_replica(
        self,
        primary: Postgres,
        name: str,
        *,
        port: int | None = None,
        settings: Settings | None = None,
    ) -> Postgres:
        """Add a hot standby that streams from `primary`, which must run; also while it is in use."""
        replica = self._new_postgres(name, port, settings)
        replica.upstream = primary
        self.add(replica).wait_streaming()
        return replica

    def valkey(
        self, name: str = "valkey", *, port: int | None = None, appendonly: bool = False
    ) -> Valkey:
        """Start a Valkey (or Redis); with `appendonly` its data outlives it."""
        return self.add(Valkey(*self.place(name, port), appendonly=appendonly, waits=self.waits))

    def rabbitmq(self, name: str = "rabbitmq", *, port: int | None = None) -> RabbitMQ:
        """Start a RabbitMQ, which takes three to six seconds; its queues and messages outlive it."""
        node_ports = NodePorts(mapper=self.free_port(), distribution=self.free_port())
        return self.add(RabbitMQ(*self.place(name, port), node_ports, waits=self.waits))

    def process(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        ready: Callable[[], bool] | None = None,
    ) -> Process:
        """Start a command of your own; it is ready when `port` answers, or when `ready()` is true if that is given.

        `env` is added to our environment.
        """
        command = Command(tuple(argv), env or {}, Path(cwd) if cwd else None, ready)
        return self.add(Process(name, self.room(name), port, command, waits=self.waits))

    def nginx(self, name: str, http: str, *, port: int | None = None) -> Nginx:
        """Start nginx with what goes into its `http { }` block; `@{address}` in it is where it must listen."""
        return self.add(Nginx(*self.place(name, port), http, waits=self.waits))

    def load_balancer(
        self,
        name: str,
        upstreams: Sequence[str],
        *,
        port: int | None = None,
        read_timeout: int = 60,
        retry_after: int = 2,
    ) -> LoadBalancer:
        """Start a load balancer in front of `upstreams` (`host:port`)."""
        return self.add(
            LoadBalancer(
                *self.place(name, port),
                upstreams,
                read_timeout=read_timeout,
                retry_after=retry_after,
                waits=self.waits,
            )
        )

    def cdn_edge(
        self,
        name: str,
        origin: str,
        *,
        prefixes: Sequence[str] = ("/static/", "/media/"),
        port: int | None = None,
        origin_host: str | None = None,
    ) -> CdnEdge:
        """Start a caching edge in front of `origin` (`host:port`) for the paths under `prefixes`."""
        return self.add(
            CdnEdge(
                *self.place(name, port),
                origin,
                prefixes=prefixes,
                origin_host=origin_host,
                waits=self.waits,
            )
        )

    def _new_postgres(self, name: str, port: int | None, settings: Settings | None) -> Postgres:
        server = Postgres(*self.place(name, port), templates=self.templates, waits=self.waits)
        server.settings.update(settings or {})
        return server
