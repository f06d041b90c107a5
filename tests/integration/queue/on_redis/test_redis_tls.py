"""The broker over TLS, which ends in a relay in front of a Valkey, as it does at many hosts."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

import pytest
import trustme

from scalekit.queue.exceptions import BrokerUnreachable
from tests.integration.queue.processes import eventually

pytestmark = pytest.mark.servers


def pump(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
    source.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls_port(valkey, authority):
    """Give the port of a relay that speaks TLS to its clients and plainly to the Valkey of the session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
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


def test_jobs_are_run_over_tls(tls_port, make_broker, crew, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    url = f"rediss://localhost:{tls_port}/0?ssl_ca_certs={tmp_path / 'authority.pem'}"
    broker = make_broker(url=url)
    crew.work(broker, threads=1)
    for options in ({"args": ("now",)}, {"args": ("later",), "delay": 300}):
        broker.enqueue(
            broker.actors["note"].message_with_options(**options), delay=options.get("delay")
        )
    assert eventually(lambda: crew.journal() == ["now", "later"])


def test_server_that_is_not_trusted_is_not_spoken_to(tls_port, make_broker):
    broker = make_broker(url=f"rediss://localhost:{tls_port}/0")
    with pytest.raises(BrokerUnreachable, match="certificate"):
        broker.ping()
