from __future__ import annotations

import time

import pytest

from scalekit.core.exceptions import SettingInvalid
from scalekit.core.forwarded import hops
from scalekit.core.networks import are_networks, came_from, client_of

PROXIES = ["10.0.0.0/24", "fd00::/8", "unix"]


@pytest.fixture
def sent(rf, settings):
    """Make a request as it arrives from a peer with these headers."""
    settings.SCALEKIT_TRUSTED_PROXIES = PROXIES

    def request(peer, **headers):
        return rf.get("/", REMOTE_ADDR=peer, headers=headers)

    return request


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ([], True),
        (["10.0.0.0/8", "::1", "192.168.1.7/24"], True),
        (["10.0.0.0/64"], False),
        (["localhost"], False),
        ([7], False),
        ([None], False),
    ],
)
def test_what_is_a_network(values, good):
    assert are_networks(values) is good


@pytest.mark.parametrize("wrong", ["10.0.0.0/8", ["everybody"], [None]])
def test_proxies_must_be_networks(rf, settings, wrong):
    settings.SCALEKIT_TRUSTED_PROXIES = wrong
    with pytest.raises(SettingInvalid, match="SCALEKIT_TRUSTED_PROXIES"):
        client_of(rf.get("/"))


def test_without_networks_nobody_comes_from_one(rf):
    assert came_from(rf.get("/"), []) is False
    assert came_from(rf.get("/"), ["127.0.0.1"]) is True


def test_without_trusted_proxies_the_client_is_the_peer(rf):
    request = rf.get("/", REMOTE_ADDR="10.0.0.5", headers={"x-forwarded-for": "203.0.113.7"})
    assert client_of(request).address == "10.0.0.5"
    assert came_from(request, ["10.0.0.0/8"]) is False


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # the peer is no proxy of ours
        ("10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "127.0.0.1, 203.0.113.7", "203.0.113.7"),  # the left end is an invention
        ("10.0.0.5", "10.0.0.9, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "203.0.113.7, 10.0.0.6, 10.0.0.7", "203.0.113.7"),
        ("10.0.0.5", "10.0.0.8, 10.0.0.7", "10.0.0.8"),  # one of us
        ("10.0.0.5", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.5", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.5", "[2001:DB8:0::1]:4711", "2001:db8::1"),
        ("10.0.0.5", "::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("fd00::5", "203.0.113.7", "203.0.113.7"),
        ("fd00::5%eth0", "203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7", "203.0.113.7"),  # a Unix socket
        ("10.0.0.5", "203.0.113.7, unknown", "10.0.0.5"),
        ("10.0.0.5", "203.0.113.7, unknown, 10.0.0.6", "10.0.0.6"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", ",,,", "10.0.0.5"),
        ("10.0.0.5", "fe80::1%<script>", "10.0.0.5"),
        ("10.0.0.5", "203.0.113.7\nfake log line", "10.0.0.5"),
        ("10.0.0.5", "0x7f.1, 203.0.113.300", "10.0.0.5"),
        ("10.0.0.5", "a" * 65_000, "10.0.0.5"),
        ("10.0.0.5", ",".join(["10.0.0.6"] * 8000), "10.0.0.6"),
        ("example.org", "203.0.113.7", "example.org"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    sent, peer, header, client
):
    assert client_of(sent(peer, **{"x-forwarded-for": header})).address == client


def test_a_header_sent_twice_is_one_list(sent):
    # WSGI and ASGI servers join the values with a comma, in the order in which they came.
    request = sent("10.0.0.5", **{"x-forwarded-for": "127.0.0.1,203.0.113.7"})
    assert client_of(request).address == "203.0.113.7"


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;proto=https;by=10.0.0.5", "203.0.113.7"),
        ('proto=https ; for="203.0.113.7:4711"', "203.0.113.7"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("for=127.0.0.1, for=203.0.113.7, for=10.0.0.6", "203.0.113.7"),
        ('for="1.2.3.4, for=203.0.113.7', "203.0.113.7"),  # a quote that the visitor left open
        ('for="a\\", for="[2001:db8::1]"', "2001:db8::1"),
        ('for="1.2.3.4,5.6.7.8", for=203.0.113.7', "203.0.113.7"),
        ("for=_hidden", "10.0.0.5"),
        ("for=unknown", "10.0.0.5"),
        ("by=203.0.113.7", "10.0.0.5"),
        ("xfor=203.0.113.7", "10.0.0.5"),
        ("for=203.0.113.7x", "10.0.0.5"),
        ('for=203.0.113.7;;host="";', "203.0.113.7"),
        # What stands in quotes is text, and a Host is the visitor's.
        ('host="x;for=1.2.3.4;y";for=203.0.113.7', "203.0.113.7"),
        ('for=203.0.113.7;host="a\\",for=1.2.3.4;x=\\""', "203.0.113.7"),
        ('for=203.0.113.7;host="a\\\\", for=10.0.0.6', "203.0.113.7"),
    ],
)
def test_forwarded_is_read_by_rfc_7239(sent, settings, header, client):
    settings.SCALEKIT_FORWARDED_HEADER = "Forwarded"
    assert client_of(sent("10.0.0.5", forwarded=header)).address == client


@pytest.mark.parametrize(
    "header",
    [f'for={" " * 60_000}"x', ";" * 60_000, '\\"' * 30_000, '"' * 60_000, f'a="{"b" * 60_000}'],
)
def test_a_hostile_header_is_read_in_linear_time(header):
    started = time.process_time()
    assert list(hops("Forwarded", header)) == [None]
    assert time.process_time() - started < 2  # in quadratic time it is minutes


def test_only_the_header_that_was_chosen_is_believed(sent, settings):
    settings.SCALEKIT_FORWARDED_HEADER = "CF-Connecting-IP"
    headers = {
        "cf-connecting-ip": "203.0.113.7",
        "x-forwarded-for": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
    }
    assert client_of(sent("10.0.0.5", **headers)).address == "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "headers", "inside"),
    [
        ("192.168.0.1", {}, True),
        ("10.0.0.5", {"x-forwarded-for": "192.168.0.1"}, True),
        ("10.0.0.5", {"x-forwarded-for": "192.168.0.1, 203.0.113.7"}, False),
        ("203.0.113.7", {"x-forwarded-for": "192.168.0.1"}, False),
        ("192.168.0.1", {"x-forwarded-for": "192.168.0.1"}, False),  # a proxy that nobody has named
        ("10.0.0.5", {"x-forwarded-for": "unknown"}, False),
        ("10.0.0.5", {"x-real-ip": "192.168.0.1"}, False),
        ("10.0.0.5", {"via": "1.1 lb"}, False),
        ("10.0.0.5", {}, True),
        ("", {}, False),
    ],
)
def test_who_comes_from_a_network(sent, peer, headers, inside):
    assert came_from(sent(peer, **headers), ["192.168.0.0/16", "10.0.0.0/8"]) is inside
