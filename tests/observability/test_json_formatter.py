from __future__ import annotations

import enum
import json
import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal
from time import process_time
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy

from scalekit.core.context import unit_of_work
from scalekit.observability.facts import REQUEST_ID
from scalekit.observability.logging import MAX_LINE, JSONFormatter
from scalekit.observability.plain import Limits, safe_text
from scalekit.observability.redaction import scrub


def record(message="hello", *args, extra=None, **kwargs):
    made = logging.LogRecord(
        "shop", logging.INFO, __file__, 1, message, args, **kwargs, exc_info=None
    )
    made.__dict__.update(extra or {})
    return made


def rendered(made, formatter=None):
    raw = (formatter or JSONFormatter()).format(made)
    assert raw.isascii()
    assert "\n" not in raw
    assert len(raw) <= MAX_LINE
    return json.loads(raw, parse_constant=pytest.fail)


def with_error(error):
    made = record()
    try:
        raise error
    except BaseException:  # noqa: BLE001 - any
        made.exc_info = sys.exc_info()
    return made


def test_a_record_is_one_line_with_time_level_logger_and_event():
    made = record("sold %d", 3, extra={"shop": "north"})
    made.created = datetime(2026, 3, 29, 1, 2, 3, 4, tzinfo=UTC).timestamp()
    assert rendered(made) == {
        "ts": "2026-03-29T01:02:03.000004Z",
        "level": "INFO",
        "logger": "shop",
        "event": "sold 3",
        "shop": "north",
    }


def test_logged_facts_stand_on_every_line_of_their_unit():
    with unit_of_work():
        REQUEST_ID.set("abc")
        assert rendered(record())["request_id"] == "abc"
    assert "request_id" not in rendered(record())


def test_fields_of_the_deployment_stand_on_every_line():
    formatter = JSONFormatter(fields={"service": "photos", "env": "prod"})
    assert rendered(record(), formatter)["service"] == "photos"


def test_extra_fields_cannot_forge_what_the_record_says():
    forged = {"level": "DEBUG", "logger": "x", "ts": "x", "event": "x"}
    line = rendered(record(extra=forged))
    assert (line["level"], line["logger"], line["event"]) == ("INFO", "shop", "hello")


def test_an_exception_is_type_message_and_stack():
    line = rendered(with_error(ValueError("broken")))
    assert (line["error_type"], line["error_message"]) == ("ValueError", "broken")
    assert line["stack"].startswith("Traceback")


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Colour(enum.Enum):
    RED = 1


circular: list[object] = []
circular.append(circular)
deep: dict[str, object] = {}
for _ in range(2000):
    deep = {"a": deep}

ODD = {
    "nan": (float("nan"), "nan"),
    "infinity": (float("-inf"), "-inf"),
    "bytes": (b"\xff\x00", "<2 bytes>"),
    "decimal": (Decimal("1.10"), "1.10"),
    "lazy": (gettext_lazy("Yes"), "Yes"),
    "uuid": (UUID(int=1), str(UUID(int=1))),
    "enum": (Colour.RED, "Colour.RED"),
    "none": (None, None),
    "set": ({1}, [1]),
    "surrogate": ("a\ud800b", "a?b"),
    "delete": ("\x7f", "\x7f"),
    "huge int": (10**5000, "int of 16610 bits"),
    "unprintable": (Unprintable(), "<Unprintable: RuntimeError when shown>"),
    "keys": ({1: {None: True}}, {"1": {"None": True}}),
}


@pytest.mark.parametrize(("value", "shown"), ODD.values(), ids=ODD.keys())
def test_odd_values_become_json(value, shown):
    assert rendered(record(extra={"value": value}))["value"] == shown


@pytest.mark.parametrize(
    "value",
    [circular, deep, Unprintable, object(), sys.modules],
    ids=str.__name__.join("abcde").split("str"),
)
def test_bottomless_values_end_somewhere(value):
    assert "value" in rendered(record(extra={"value": value}))


@pytest.mark.parametrize(
    "hostile",
    ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\x00b", "a\u2028b", "a\x85b", '"},{"level":"X"', "a\\"],
)
def test_hostile_text_stays_on_its_line_and_is_kept(hostile):
    line = rendered(record("%s", hostile, extra={"path": hostile, hostile: 1}))
    assert line["event"] == line["path"] == hostile
    assert line[hostile] == 1


def test_message_that_does_not_fit_its_arguments_is_still_a_line():
    assert rendered(record("%d apples", "many"))["event"] == "%d apples"
    assert rendered(record("%s", Unprintable()))["event"] == "%s"


def test_exception_that_cannot_be_shown_is_still_a_line():
    assert rendered(with_error(UnprintableError()))["error_message"] == "<cannot be shown>"


def test_lines_have_a_limit_and_say_so():
    extra = {f"field{i}": "x" * 5000 for i in range(500)}
    line = rendered(record("m" * 100_000, extra=extra))
    assert line["truncated"] is True
    assert line["event"].startswith("mmm")


def test_endless_traceback_keeps_its_end():
    def sink(n):
        if n:
            sink(n - 1)
        else:
            raise ValueError("at the bottom")

    try:
        sink(400)
    except ValueError:
        made = record()
        made.exc_info = sys.exc_info()
    assert rendered(made)["stack"].rstrip().endswith("ValueError: at the bottom")


@pytest.mark.parametrize(
    "extra",
    [
        {"password": "CANARY"},
        {"api_key": "CANARY"},
        {"user": {"headers": {"Authorization": "Basic CANARY"}}},
        {"Set-Cookie": ["CANARY"]},
        {"data": [{"csrfmiddlewaretoken": "CANARY"}]},
        {"otp": 123456789, "note": "otp is CANARY"[:6]},
        {"url": "redis://:CANARY@cache:6379/0"},
        {"url": "https://bucket.example/x?AWSAccessKeyId=1&Signature=CANARY"},
        {"body": '{"password": "CANARY with spaces", "a": 1}'},
        {"header": "authorization: Bearer CANARY"},
        {"note": "sent Bearer CANARY.CANARY.CANARY"},
        {"note": "dsn='host=db password=CANARY'"},
        {"body": r'{"password": "ab\"CANARY"}'},
        {"body": repr(r'{"password": "ab\"CANARY"}') * 2},
        {"body": r'"{\"password\": \"CANARY\"}"'},
        {"note": "password='it''s CANARY'"},
        {"note": "password=b'CANARY'"},
        {"note": 'token="CANARY'},
        {"note": r"token=a\"CANARY"},
        {"url": "redis://:pa/CANARY@cache"},
        {"url": "redis://:pa@CANARY@cache/0"},
        {"url": "redis://:12#CANARY@cache"},
        {"url": "redis://:CANARY"},
    ],
)
def test_secrets_are_left_out(extra):
    raw = JSONFormatter().format(record(extra=extra))
    assert "CANARY" not in raw
    assert "123456789" not in raw


def test_secrets_in_messages_and_chained_exceptions_are_left_out():
    try:
        try:
            raise OSError("postgresql://app:CANARY@db failed")
        except OSError as error:
            raise ValueError("token=CANARY") from error
    except ValueError:
        made = record("could not connect: password='CANARY'")
        made.exc_info = sys.exc_info()
    assert "CANARY" not in JSONFormatter().format(made)


@pytest.mark.parametrize(
    "extra",
    [
        {"cache_key": "profile:7"},
        {"shard_key": 7},
        {"classname": "Photo"},
        {"result": "a=b"},
        {"path": "/users/7"},
        {"note": "CSRF token missing."},
        {"url": "https://example.org:8000/x"},
        {"url": "https://example.org:8000/users/a@example.org"},
        {"url": "https://example.org:8000?page=2"},
        {"url": "https://example.org:8000"},
        {"url": "http://[::1]:8000/a@b"},
    ],
)
def test_what_is_no_secret_is_kept(extra):
    line = rendered(record(extra=extra))
    assert {key: line[key] for key in extra} == extra


@pytest.mark.parametrize("limit", [64, 512, 2048])
@pytest.mark.parametrize(
    "secret",
    [
        "postgres://app:CANARYCANARYCANARY@db/x",
        "redis://:pa/CANARYCANARYCANARY@db",
        'password="CANARY CANARY CANARY"',
        "{'password': 'CANARY CANARY CANARY'}",
        "token=CANARYCANARYCANARY",
    ],
)
def test_secret_across_a_limit_is_left_out(limit, secret):
    for cut in range(len(secret)):
        text = "x" * (limit - cut - 1) + " " + secret + " " * 1000
        assert "CANA" not in safe_text(text, Limits(characters=limit))


def test_secret_longer_than_any_limit_is_left_out():
    line = rendered(with_error(ValueError("password='" + "CANARY " * 10_000 + "'\n")))
    assert "CANARY" not in str(line)
    assert line["stack"] == "ValueError: password=[redacted]..."


@pytest.mark.parametrize(
    "unit", ["token", "token=", "a" * 9, "a://b:", "a://:1?", "token='\\", "api_-", "Bearer "]
)
def test_time_to_redact_grows_with_the_text_only(unit):
    started = process_time()
    scrub(":// = : " + unit * (200_000 // len(unit)))
    assert process_time() - started < 0.5


def test_hostile_exception_is_quickly_logged():
    hostile = with_error(KeyError("token" * 40_000))
    started = process_time()
    rendered(hostile)
    assert process_time() - started < 0.2


def test_closed_stream_costs_no_request(capsys):
    import io

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    stream.close()
    handler.handle(record())  # logging reports it to stderr and goes on
    assert "ValueError" in capsys.readouterr().err
