"""The matrix: every supported Python with every supported Django. `nox -s tests`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"

MATRIX = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.12", "6.0"),
    ("3.13", "6.0"),
    ("3.13", "6.1"),
    ("3.14", "6.1"),
]


@nox.session
@nox.parametrize(("python", "django"), MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run the tests against the built wheel, not the checkout."""
    session.run("python", "-m", "pip", "install", "--quiet", "build", external=False)
    wheels = session.create_tmp()
    session.run("python", "-m", "build", "--wheel", "--outdir", wheels, silent=True)
    session.install(f"django~={django}.0", "--find-links", wheels, "django-scalekit[test]")
    session.chdir(without_the_package(session))
    session.run("pytest", *session.posargs, env={"PYTHONDEVMODE": "1"})


def without_the_package(session: nox.Session) -> str:
    """Return a copy of the checkout in which only the installed wheel can be imported."""
    copy = Path(session.create_tmp()) / "checkout"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(".", copy, ignore=shutil.ignore_patterns("scalekit", ".git", ".nox", ".venv*"))
    return str(copy)
