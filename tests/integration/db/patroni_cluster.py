"""Three real Patroni nodes that find their leader among themselves (raft)."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from urllib.request import Request, urlopen

from scalekit.testing.servers import processes
from scalekit.testing.servers.binaries import POSTGRES
from scalekit.testing.servers.privileges import ordinary_account

HOST, PASSWORD = "127.0.0.1", "a-test-password"


class Node:
    def __init__(self, name, ports, folder):
        self.name = name
        self.port, self.rest, self.raft = ports
        self.folder = folder / f"patroni_{name}"
        self.url = f"http://{HOST}:{self.rest}"

    @property
    def address(self):
        return HOST, str(self.port)

    @property
    def data(self):
        return self.folder / "pg"

    def config(self, others):
        parameters = {"unix_socket_directories": "", "fsync": "off", "wal_log_hints": "on"}
        return {
            "scope": "shop",
            "name": self.name,
            "raft": {
                "self_addr": f"{HOST}:{self.raft}",
                "partner_addrs": [f"{HOST}:{other.raft}" for other in others],
                "data_dir": str(self.folder / "raft"),
            },
            "restapi": {
                "listen": f"{HOST}:{self.rest}",
                "connect_address": f"{HOST}:{self.rest}",
            },
            "bootstrap": {
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "primary_start_timeout": 0,
                    "postgresql": {"use_pg_rewind": True, "parameters": parameters},
                },
                "initdb": [{"encoding": "UTF8"}, {"auth-host": "scram-sha-256"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"{HOST}:{self.port}",
                "connect_address": f"{HOST}:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(POSTGRES.find().parent),
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", "password": PASSWORD},
                    "replication": {"username": "replicator", "password": PASSWORD},
                },
            },
        }

    def kill_postgres(self):
        """End PostgreSQL with all its backends, as a power cut does; Patroni notices."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        processes.send(sorted(processes.family(postmaster)), signal.SIGKILL)


def start(topology):
    """Start three nodes and return them when all of them stream."""
    account = ordinary_account()
    nodes = [
        Node(f"node_{i}", [topology.free_port() for _ in range(3)], topology.folder)
        for i in (1, 2, 3)
    ]
    for node in nodes:
        (node.folder / "raft").mkdir(parents=True)
        path = node.folder / "patroni.yml"
        path.write_text(json.dumps(node.config([n for n in nodes if n is not node])))
        account.adopt(node.folder)
        topology.process(
            node.name, [*account.prefix, sys.executable, "-m", "patroni", str(path)], port=node.rest
        )
    topology.waits.until(lambda: len(states(nodes)) == 3, "three Patroni nodes to stream", 60)
    return nodes


def members(nodes):
    for node in nodes:
        with suppress(OSError), urlopen(f"{node.url}/cluster", timeout=2) as answer:
            return json.load(answer)["members"]
    return []


def states(nodes):
    """Return name -> role of the members that serve."""
    return {
        m["name"]: m["role"]
        for m in members(nodes)
        if (m["role"], m["state"]) in {("leader", "running"), ("replica", "streaming")}
    }


def leader(nodes):
    roles = states(nodes)
    return next((node for node in nodes if roles.get(node.name) == "leader"), None)


def switch_over(node):
    body = json.dumps({"leader": node.name}).encode()
    request = Request(f"{node.url}/switchover", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return answer.read().decode()
