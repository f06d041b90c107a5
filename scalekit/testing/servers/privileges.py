"""PostgreSQL refuses to run as root: how to start it all the same, and as an ordinary user unchanged.

First choice is a user namespace in which root appears as nobody: files stay root's, so it works under private
folders (0700) too, and `unshare` execs in place, so the process id is PostgreSQL's own. Where user namespaces are
forbidden, as in many containers, the server runs as the real user nobody, who must be able to reach its folder.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import FolderUnreachable

if TYPE_CHECKING:
    from pathlib import Path

_UNSHARE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True, slots=True)
class Account:
    """As whom a server runs: a command to put before its own, or another user id; neither means as we are."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def adopt(self, path: Path) -> None:
        """Give `path` and all below it to the account; raise `FolderUnreachable` when it cannot get there."""
        if self.user is None or self.group is None:
            return
        self.require_reach(path.parent)
        for each in (path, *path.rglob("*")):
            os.chown(each, self.user, self.group, follow_symlinks=False)

    def require_reach(self, folder: Path) -> None:
        """Raise `FolderUnreachable` when the account may not enter `folder` or one of its parents."""
        if self.user is None:
            return
        for each in (folder, *folder.parents):
            if not self._may_enter(each.stat()):
                raise FolderUnreachable(
                    f"PostgreSQL does not run as root, user namespaces are forbidden here, and user nobody may not "
                    f"enter {each}: use a folder and a virtual environment under /tmp or /srv, or an ordinary user"
                )

    def _may_enter(self, status: os.stat_result) -> bool:
        if status.st_uid == self.user:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.group:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def ordinary_account() -> Account:
    """Return an account that is not root: ourselves, a user namespace, or nobody."""
    if os.geteuid() != 0:
        return Account()
    if user_namespaces_work():
        return Account(prefix=_UNSHARE)
    nobody = pwd.getpwnam("nobody")
    return Account(user=nobody.pw_uid, group=nobody.pw_gid)


@functools.cache
def user_namespaces_work() -> bool:
    """Try once whether this machine lets us make a user namespace."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False, timeout=10)
    return done.returncode == 0
