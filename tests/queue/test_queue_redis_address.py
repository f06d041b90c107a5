from __future__ import annotations

import json

import pytest
from redis import SSLConnection
from redis.sentinel import SentinelManagedConnection

from scalekit.core.exceptions import SettingInvalid
from scalekit.queue.brokers import brokers
from scalekit.queue.brokers.redis.connections import Address
from scalekit.queue.exceptions import BrokerUnreachable, PublishFailed
from scalekit.queue.messages import flaw_of, published_at

PATH = "scalekit.queue.brokers.redis.RedisBroker"


@pytest.fixture
def make(settings):
    """Give a function that makes the broker of these OPTIONS, as a project does."""
    made = []

    def make(**options):
        settings.SCALEKIT_QUEUE_BROKER = {"default": {"BACKEND": PATH, "OPTIONS": options}}
        made.append(brokers["default"])
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either a url"),
        ({"url": "redis://a", "sentinels": ["b"]}, "either a url"),
        ({"sentinels": ["a:1"]}, "service_name"),
        ({"sentinels": "a:1", "service_name": "q"}, "is a list"),
        ({"url": "http://a"}, "redis://[user:password@]"),
        ({"url": "redis://a", "space_of_names": "b"}, "space_of_names"),
        ({"url": "redis://a", "maintenance_chance": 1}, "maintenance_chance"),
    ],
)
def test_options_that_make_no_sense_are_named(make, options, says):
    with pytest.raises(SettingInvalid, match=r"SCALEKIT_QUEUE_BROKER\['default'\]") as refusal:
        make(**options)
    assert says in str(refusal.value)


def test_password_that_breaks_the_url_is_not_quoted(make):
    with pytest.raises(SettingInvalid) as refusal:
        make(url="redis://me:sec/ret@host:6379/0")
    assert "sec" not in str(refusal.value)


def test_password_is_in_no_message(make):
    broker = make(url="redis://me:secret@127.0.0.1:1/3")
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1/3") as unreachable:
        broker.ping()
    with pytest.raises(BrokerUnreachable) as untold:
        broker.stats(["default"])
    with pytest.raises(PublishFailed) as failed:
        broker.enqueue_many([_message()])
    assert "secret" not in f"{broker.where}{unreachable.value}{untold.value}{failed.value}"


def _message():
    from dramatiq import Message

    return Message("default", "nobody", (), {}, {})


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"url": "redis://:pw@queue.internal/2"}, "queue.internal:6379/2"),
        ({"url": "unix:///run/valkey.sock?db=1"}, "/run/valkey.sock"),
        ({"sentinels": ["a", ("b", 1)], "service_name": "q"}, "q of the Sentinels a:26379, b:1"),
        ({"sentinels": ["[::1]:2"], "service_name": "q"}, "q of the Sentinels ::1:2"),
    ],
)
def test_it_says_where_it_is(options, where):
    assert str(Address(**options)) == where


def test_connections_have_the_keywords_given_and_every_wait_a_bound():
    client = Address(url="redis://a/1", connection={"username": "me"}).client(1, 5, retries=1)
    found = client.connection_pool.connection_kwargs
    bounds = (found["socket_connect_timeout"], found["socket_timeout"])
    assert (found["username"], found["db"], bounds) == ("me", 1, (1, 5))


def test_sentinels_have_keywords_of_their_own():
    address = Address(
        sentinels=["a:1"],
        service_name="q",
        connection={"password": "of the server", "db": 2},
        sentinel_connection={"password": "of the Sentinels"},
    )
    pool = address.client(1, 5, retries=1).connection_pool
    (sentinel,) = pool.sentinel_manager.sentinels
    theirs = sentinel.connection_pool.connection_kwargs
    assert pool.connection_class is SentinelManagedConnection
    assert (pool.connection_kwargs["password"], pool.connection_kwargs["db"]) == (
        "of the server",
        2,
    )
    assert (theirs["password"], theirs["socket_timeout"]) == ("of the Sentinels", 1)


def test_worker_is_dead_after_half_of_the_30_seconds_in_which_its_jobs_are_run_again(make):
    assert make(url="redis://a").heartbeat_timeout * 2 <= 30_000  # milliseconds


def test_server_is_asked_about_a_suspect_before_its_record_is_claimed(make):
    names = [type(one).__name__ for one in make(url="redis://a").middleware]
    assert names.index("Context") < names.index("Suspects") < names.index("Records")


def test_url_of_tls_uses_tls():
    client = Address(url="rediss://a").client(1, 5, retries=1)
    assert issubclass(client.connection_pool.connection_class, SSLConnection)


def test_message_of_the_delay_queue_of_dramatiq_is_one_of_its_queue():
    data = _message().copy(queue_name="default.DQ").encode()
    assert flaw_of(data, "default") is None
    assert flaw_of(data, "mail") == "unreadable"


@pytest.mark.parametrize(
    "option",
    [
        {"throws": "x"},
        {"retry_when": "x"},
        {"retries": "x"},
        {"retries": -1},
        {"retries": None},
        {"max_retries": "x"},
        {"min_backoff": None},
        {"min_backoff": 10**400},
        {"max_backoff": float("nan")},
        {"time_limit": "x"},
        {"time_limit": 10**400},
        {"max_age": []},
        {"eta": "soon"},
        {"eta": float("nan")},
        {"on_success": ["x"]},
        {"pipe_target": "x"},
        {"group_completion_callbacks": {}},
    ],
    ids=lambda option: str(option)[:30],
)
def test_forged_option_is_a_flaw(option):
    """Dramatiq compares and counts with these where an error ends its thread, or forgets the job."""
    data = json.dumps({**_message().asdict(), "options": option})
    assert flaw_of(data, "default") == "option"


@pytest.mark.parametrize(
    ("options", "at"), [({}, 5), ({"published_at": 7}, 7), ({"published_at": "x"}, None)]
)
def test_when_a_message_was_published_is_read_from_it(options, at):
    message = _message().copy(options=options, message_timestamp=5)
    assert published_at(message.encode()) == at


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"options": 1}', b"[" * 100_000])
def test_what_is_no_message_was_published_at_no_time(data):
    assert published_at(data) is None
