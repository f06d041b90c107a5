"""Which keys of a shard group get the most traffic.

    from scalekit.db.sharding import hot_keys
    hot_keys.seen("users", 7)      # wherever a key is resolved: 0.1 to 0.4 µs; a third of that when off

Counts stay in the process, in bounded memory, until a window ends; `manage.py hot_keys` sums up those of all.
Call `seen` through the module, as above: its name is bound anew when SCALEKIT_DB_HOT_KEYS changes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed

from scalekit.db.sharding.hot_keys.counting import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalekit.db.sharding.hot_keys.storing import Storer

recorder = Recorder()
_storer: Storer | None = None


def storer() -> Storer:
    """Return what ends this process's windows."""
    global _storer  # noqa: PLW0603 - one for the process
    if _storer is None:
        from scalekit.db.sharding.hot_keys.storing import Storer

        _storer = Storer(recorder)
    return _storer


def _decide(group: str, key: Any) -> None:
    """Find out whether to count, and bind `seen` to what does that; called for the first key alone."""
    global seen  # noqa: PLW0603 - so that later calls ask no setting
    from scalekit.db.conf import settings
    from scalekit.db.transactions import is_testing

    if not settings.HOT_KEYS:
        seen = _ignore
        return
    seen = recorder.seen
    seen(group, key)
    # A thread that writes would disturb tests, and keep their database from being dropped.
    if not is_testing():
        storer().begin()


def _ignore(group: str, key: Any) -> None:
    """Count nothing."""


def _begin_anew(*, setting: str = "SCALEKIT_DB_HOT_KEYS", **_: Any) -> None:
    global seen  # noqa: PLW0603 - the decision is made again
    if setting == "SCALEKIT_DB_HOT_KEYS":
        seen = _decide


def _fork() -> None:
    recorder.fork()
    if _storer is not None:
        _storer.fork()
    _begin_anew()


seen: Callable[[str, Any], None] = _decide
setting_changed.connect(_begin_anew, dispatch_uid="scalekit.db.hot_keys")
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_fork)
