"""The broker over TLS, which ends in a relay in front of a Valkey, as it does at many hosts."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from dramatiq import Worker

from scalekit.queue.exceptions import BrokerUnreachable
from tests.integration.queue.on_redis.crew import actors_on
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # self-signed, for localhost, with its key


def pump(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
    source.close()


@pytest.fixture
def tls_port(valkey):
    """Give the port of a relay that speaks TLS to its clients and plainly to the Valkey of the session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                client = context.wrap_socket(plain, server_side=True)
            except OSError:  # it does not trust us
                plain.close()
                continue
            server = socket.create_connection((valkey.host, valkey.port))
            for pair in ((client, server), (server, client)):
                threads.append(threading.Thread(target=pump, args=pair, daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join(5)
    for thread in threads:
        thread.join(5)


def test_jobs_are_run_over_tls(tls_port, make_broker, monkeypatch, tmp_path):
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal"))
    broker = make_broker(url=f"rediss://localhost:{tls_port}/0?ssl_ca_certs={CERTIFICATE}")
    note = actors_on(broker).note
    worker = Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    note.send("over TLS")
    note.send_with_options(args=("later",), delay=300)
    journal = tmp_path / "journal"
    assert eventually(lambda: journal.exists() and journal.read_text() == "over TLS\nlater\n")
    worker.stop()
    broker.close()


def test_server_that_is_not_trusted_is_not_spoken_to(tls_port, make_broker):
    broker = make_broker(url=f"rediss://localhost:{tls_port}/0")
    with pytest.raises(BrokerUnreachable, match="certificate"):
        broker.ping()
