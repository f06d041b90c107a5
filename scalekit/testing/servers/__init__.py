"""Real servers on this machine: a production-like topology without Docker and without root.

Use `Topology`, which starts PostgreSQL (primaries, streaming replicas, shards), Valkey, RabbitMQ, nginx (load balancer,
CDN edge) and processes of your own, and stops them. docs/howto/servers.md shows it in tests and on a laptop.
"""

from __future__ import annotations

from .base import Server
from .exceptions import (
    FolderInUse,
    FolderUnreachable,
    NotEnoughDisk,
    PortTaken,
    ServerBinaryMissing,
    ServerDidNotStart,
    ServerError,
    ServerTimeout,
    ToolFailed,
)
from .nginx import CdnEdge, LoadBalancer, Nginx
from .postgres import Postgres
from .process import Process
from .rabbitmq import RabbitMQ
from .topology import Topology
from .valkey import Valkey
from .waiting import Waits

__all__ = [
    "CdnEdge",
    "FolderInUse",
    "FolderUnreachable",
    "LoadBalancer",
    "Nginx",
    "NotEnoughDisk",
    "PortTaken",
    "Postgres",
    "Process",
    "RabbitMQ",
    "Server",
    "ServerBinaryMissing",
    "ServerDidNotStart",
    "ServerError",
    "ServerTimeout",
    "ToolFailed",
    "Topology",
    "Valkey",
    "Waits",
]
