"""JSONFormatter: every log record as one line of JSON, with the facts of its unit of work.

    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "scalekit.observability.logging.JSONFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }

Fields: ``ts`` (RFC 3339, UTC), ``level``, ``logger``, ``event`` (the message), the logged facts, whatever
was passed as ``extra``, and for an exception ``error_type``, ``error_message``, ``stack``.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scalekit.core.context import current_unit, logged_facts, unit_of_work
from scalekit.core.middleware import unit_of
from scalekit.observability.plain import Limits, plain_mapping, safe_text, safe_trace
from scalekit.observability.redaction import without_path_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINE = 16 * 1024  # bytes; what log shippers commonly take as one line

_ROOMY = Limits()
_TIGHTER = (Limits(characters=512, items=16, depth=3), Limits(characters=64, items=4, depth=1))
_STACK = Limits(characters=8192)

_encode = json.JSONEncoder(allow_nan=False).encode

# What every record has, and `request`, an HttpRequest that Django hands to its own loggers.
_NOT_EXTRA = {
    *logging.LogRecord("", 0, "", 0, "", (), None).__dict__,
    *("message", "asctime", "taskName", "request", "server_time"),
}


class JSONFormatter(logging.Formatter):
    """Render records as JSON lines of at most 16 KiB; `fields` are put on every one of them."""

    def __init__(self, fields: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields = dict(fields or {})

    def format(self, record: logging.LogRecord) -> str:
        line = _dumps(self._fields_of(record, _ROOMY, _STACK))
        for limits in _TIGHTER:
            if len(line) <= MAX_LINE:
                return line
            line = _dumps({**self._fields_of(record, limits, limits), "truncated": True})
        return (
            line if len(line) <= MAX_LINE else _dumps({**_core(record, limits), "truncated": True})
        )

    def _fields_of(
        self, record: logging.LogRecord, limits: Limits, stack: Limits
    ) -> dict[str, Any]:
        core = _core(record, limits)
        extra = {k: v for k, v in record.__dict__.items() if k not in _NOT_EXTRA}
        return {
            **core,
            **plain_mapping(_facts_of(record), limits),
            **plain_mapping(extra, limits),
            **core,  # first in the line, and not to be overwritten
            **self.fields,
            **_error(self, record, limits, stack),
        }


def _core(record: logging.LogRecord, limits: Limits) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    return {
        "ts": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "event": safe_text(_of_request(record, _message(record)), limits),
    }


def _facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the logged facts; Django's "Not Found" comes after the request has left its unit of work."""
    unit = unit_of(getattr(record, "request", None)) if current_unit() is None else None
    if unit is None:
        return logged_facts()
    with unit_of_work(unit):
        return logged_facts()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the message, or cannot be shown
        return str(record.msg)


def _of_request(record: logging.LogRecord, text: str) -> str:
    """Return a text of a record such as Django's "Not Found: /path", the path as our own line has it."""
    return without_path_secrets(text, getattr(record, "request", None))


def _error(
    formatter: logging.Formatter, record: logging.LogRecord, limits: Limits, stack: Limits
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, _ = record.exc_info
        fields["error_type"] = kind.__name__
        fields["error_message"] = safe_text(_of_request(record, _text_of(error)), limits)
        trace = formatter.formatException(record.exc_info)
        fields["stack"] = safe_trace(_of_request(record, trace), stack)
    elif record.stack_info:
        fields["stack"] = safe_trace(record.stack_info, stack)
    return fields


def _text_of(error: BaseException | None) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose __str__ raises
        return "<cannot be shown>"


def _dumps(fields: dict[str, Any]) -> str:
    # ASCII only: no line separator of Unicode, no terminal escape and no half character gets through.
    return _encode(fields).replace("\x7f", "\\u007f")
