"""What a scrape of ``/metrics`` is answered: of this process, or of all that share a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from scalekit.observability.meters import client

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def exposition(accept: str) -> tuple[bytes, str]:
    """Return all metrics, the project's own included, and their content type.

    Where PROMETHEUS_MULTIPROC_DIR names a folder, the sums over all processes that count into it; it must
    be set in the environment before they start. A fresh registry each time, as prometheus_client asks.
    """
    client()  # which says what to install
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return encode(_registry()), content_type


def _registry() -> Any:
    if FOLDER not in os.environ:
        return client().REGISTRY
    from prometheus_client.multiprocess import MultiProcessCollector

    forget_the_dead(Path(os.environ[FOLDER]))
    registry = client().CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # its stub has none
    return registry


def forget_the_dead(folder: Path) -> None:
    """Remove what killed processes left in gauges; their counters stay, so that sums never fall."""
    from prometheus_client.multiprocess import mark_process_dead

    owners = {file.stem.rpartition("_")[2] for file in folder.glob("gauge_live*_*.db")}
    for pid in owners:
        if pid.isdecimal() and not _lives(int(pid)):
            with suppress(FileNotFoundError):  # another scrape was faster
                mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]  # its stub has none


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing; asks whether it could
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
