"""The matrix: every supported Python with every supported Django. `nox -s tests`."""

from __future__ import annotations

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
    session.run("python", "-m", "pytest", *session.posargs, env={"PYTHONDEVMODE": "1"})
