"""What a failure to connect says about the server, and about the connections that are open to it."""

from __future__ import annotations

import socket
import time

import pytest
from django.db import OperationalError

from scalekit.db.backends.postgresql.failures import is_silence, is_unreachable
from scalekit.db.backends.postgresql.sockets import limited, lines

AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '
FULL = f"{AT}FATAL:  sorry, too many clients already"
REFUSED = f"{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?"
SILENT = "connection timeout expired"
STANDBY = f"{AT}session is read-only"
STARTING = (
    f"{AT}FATAL:  the database system is not yet accepting connections\nDETAIL:  Not consistent."
)


def of_several(*errors):
    """Return what psycopg says when it has tried several hosts."""
    tried = [f"- host: 'h', port: '1', hostaddr: '10.0.0.1': {error}" for error in errors]
    return "\n".join(
        [errors[-1], "Multiple connection attempts failed. All failures were:", *tried]
    )


@pytest.mark.parametrize(
    "words",
    [
        FULL,
        f"{AT}SCHWERWIEGEND:  tut mir leid, schon zu viele Verbindungen",
        f"{AT}\u00d6L\u00dcMC\u00dcL (FATAL):  \u00e7ok fazla istemci",
        f'{AT}FATAL:  password authentication failed for user "x"',
        f"{AT}fe_sendauth: no password supplied",
        "connection failed: could not create socket: Too many open files",
        "connection is bad: SSL error: certificate verify failed",
        of_several(REFUSED, FULL),
        of_several(SILENT, FULL),
        of_several(FULL, SILENT),
    ],
)
def test_who_is_turned_away_knows_of_no_outage_and_cuts_nothing(words):
    assert not is_unreachable(OperationalError(words))
    assert not is_silence(OperationalError(words))


@pytest.mark.parametrize(
    "words",
    [REFUSED, STARTING, STANDBY, "failed to resolve host 'h': [Errno -3] Temporary failure"],
)
def test_a_primary_that_is_not_there_is_down_but_nothing_is_cut(words):
    assert is_unreachable(OperationalError(words))
    assert not is_silence(OperationalError(words))


@pytest.mark.parametrize(
    "words", [SILENT, of_several(SILENT, STANDBY), of_several(REFUSED, SILENT)]
)
def test_a_primary_that_is_silent_is_given_up(words):
    assert is_unreachable(OperationalError(words))
    assert is_silence(OperationalError(words))


def test_a_server_that_says_nothing_after_the_handshake_is_silent():
    end, other = socket.socketpair()
    end.settimeout(10)
    started = time.monotonic()
    with end, other, pytest.raises(OperationalError) as caught, limited(0.2):  # noqa: PT012 - all of it belongs to the one question
        lines.add("replica_1", end)
        if not end.recv(1):
            raise OSError("closed")
    assert time.monotonic() - started < 5
    assert is_silence(caught.value)


def test_an_answer_in_time_ends_the_limit():
    end, other = socket.socketpair()
    end.settimeout(0.5)
    with end, other:
        with limited(0.1):
            lines.add("replica_1", end)
        with pytest.raises(TimeoutError):
            end.recv(1)
