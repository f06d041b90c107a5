"""The folder of a topology: one owner at a time, and room enough."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from .exceptions import FolderInUse, NotEnoughDisk
from .privileges import ordinary_account

_MEGABYTE = 1024 * 1024


class FolderLock:
    """A lock on a folder that ends with the process that holds it, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises `FolderInUse` with the id of the process that has it."""
        path = folder / ".lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 20).decode() or "unknown"
            os.close(self._descriptor)
            raise FolderInUse(
                f"{folder} is in use by process {holder}: stop that first, or choose another folder"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Give the folder up."""
        os.close(self._descriptor)


def require_space(folder: Path, megabytes: int) -> None:
    """Raise `NotEnoughDisk` when fewer than `megabytes` are free where `folder` is."""
    free = shutil.disk_usage(folder).free // _MEGABYTE
    if free < megabytes:
        raise NotEnoughDisk(
            f"{free} MB are free for {folder} and {megabytes} MB are needed: make room, or choose another folder"
        )


def make_temporary_folder() -> Path:
    """Make a folder under the system's temporary one: ours alone, but for PostgreSQL where it runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="scalekit-"))
    if ordinary_account().user is not None:
        folder.chmod(0o711)
    return folder
