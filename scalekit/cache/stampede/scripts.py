"""The Lua scripts, called by their digest; the text travels only when a server does not know it yet."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Any

Call = tuple[Any, ...]  # a command and its arguments, as redis-py's execute_command takes them


class Script:
    """One script that touches one key, so that it runs on a Redis Cluster too."""

    def __init__(self, *names: str) -> None:
        folder = files("scalekit.cache.stampede") / "lua"
        text = "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)
        self.digest = sha1(
            text.encode(), usedforsecurity=False
        ).hexdigest()  # Redis names scripts so
        _texts[self.digest] = text

    def __call__(self, key: str, *arguments: Any) -> Call:
        return ("EVALSHA", self.digest, 1, key, *arguments)


_texts: dict[str, str] = {}


def in_full(call: Call) -> Call:
    """Return the same call with the script's text, after which the server knows it."""
    return ("EVAL", _texts[call[1]], *call[2:])


ACQUIRE = Script("acquire")
SWAP = Script("swap")
RENEW = Script("renew")
STAMP = Script("stamp")
HOLD = Script("holds", "hold")
RELEASE = Script("holds", "release")
EPOCH = Script("epoch")
