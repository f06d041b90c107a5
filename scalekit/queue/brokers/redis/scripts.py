"""The Lua scripts, called by their digest; the text travels only when the server does not know it yet."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

Call = tuple[Any, ...]  # a command and its arguments, as redis-py's execute_command takes them


class Script:
    """One step, put together from files of lua/; the keys of a queue are found from the namespace."""

    def __init__(self, *names: str) -> None:
        folder = files("scalekit.queue.brokers.redis") / "lua"
        text = "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()  # Redis names them so
        _texts[self.digest] = text

    def call(self, namespace: str, *arguments: Any) -> Call:
        return ("EVALSHA", self.digest, 1, namespace, *arguments)


_texts: dict[str, str] = {}


def run(client: Redis, call: Call) -> Any:
    """Return the answer to one call. Raises what redis-py raises."""
    try:
        return client.execute_command(*call)  # type: ignore[no-untyped-call]  # redis-py's
    except NoScriptError:
        return client.execute_command(*_in_full(call))  # type: ignore[no-untyped-call]  # redis-py's


def run_all(client: Redis, calls: Sequence[Call]) -> list[Any]:
    """Return the answers to all calls, sent in one go. Raises the first error, after all have been tried."""
    answers = _pipelined(client, calls)
    unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        again = _pipelined(client, [_in_full(calls[place]) for place in unknown])
        for place, answer in zip(unknown, again, strict=True):
            answers[place] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _in_full(call: Call) -> Call:
    return ("EVAL", _texts[call[1]], *call[2:])


def _pipelined(client: Redis, calls: Sequence[Call]) -> list[Any]:
    with client.pipeline(transaction=False) as pipeline:
        for call in calls:
            pipeline.execute_command(*call)  # type: ignore[no-untyped-call]  # redis-py's
        return list(pipeline.execute(raise_on_error=False))


ENQUEUE = Script("names", "putting", "enqueue")
FETCH = Script("names", "putting", "fetch")
BEGIN = Script("names", "begin")
ACK = Script("names", "ack")
NACK = Script("names", "burying", "nack")
REQUEUE = Script("names", "putting", "requeue")
RECALL = Script("names", "putting", "recall")
RETRY = Script("names", "putting", "retry")
BEAT = Script("names", "putting", "burying", "recovering", "inheriting", "beat")
STATS = Script("names", "stats")
DEAD = Script("names", "dead")
FORGET = Script("names", "forget")
PURGE = Script("names", "purge")
