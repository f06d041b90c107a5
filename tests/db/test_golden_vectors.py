"""Rows are stored where these vectors say: by every scheme, in every process, for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import django
import pytest

from tests.db.golden.make_schemes import CASES, FILE, answers

VECTORS = json.loads(FILE.read_text("utf-8"))
ROOT = Path(__file__).parents[2]
ANSWER = (
    "import json; from tests.db.golden.make_schemes import FILE, answers; "
    "vectors = json.loads(FILE.read_text('utf-8')); "
    "print(json.dumps({name: answers(name, known) for name, known in vectors.items()}))"
)


def run(python, code, seed="0"):
    paths = os.pathsep.join([str(ROOT), str(Path(django.__file__).parents[1])])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
    command = [python, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, check=False)


def other_pythons():
    """Interpreters of other versions on this machine, which can import the same Django."""
    mine = f"python3.{sys.version_info.minor}"
    names = [f"python3.{minor}" for minor in range(11, 16)]
    found = [path for name in names if name != mine and (path := shutil.which(name))]
    return [python for python in found if run(python, "import django.db").returncode == 0]


@pytest.mark.parametrize("name", VECTORS)
def test_golden_vectors(name):
    assert answers(name, VECTORS[name]) == VECTORS[name]


def test_every_case_has_its_vectors():
    assert set(VECTORS) == set(CASES)


@pytest.mark.parametrize("seed", ["0", "1", "42", "99"])
def test_golden_vectors_do_not_depend_on_the_hash_seed(seed):
    assert json.loads(run(sys.executable, ANSWER, seed).stdout) == VECTORS


def test_golden_vectors_do_not_depend_on_the_python():
    for python in other_pythons():
        assert json.loads(run(python, ANSWER).stdout) == VECTORS
