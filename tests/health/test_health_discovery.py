from __future__ import annotations

import sys
from textwrap import dedent

import pytest
from django.core.checks import run_checks

from scalekit.health import health
from scalekit.health.checks import check_health_modules
from scalekit.health.discovery import installed_checks

GOOD = """
    from scalekit.health.base import Check

    class Well(Check):
        name = "sample"

        def run(self):
            pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch, settings):
    """Install an app whose health.py has this source, and leave the built-in checks out."""
    made = []
    monkeypatch.setattr(health, "checks", list)

    def install_app(source):
        label = f"sample_health_app_{len(made)}"
        folder = tmp_path / label
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "health.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(str(tmp_path))
        made.append(label)
        settings.INSTALLED_APPS = ["scalekit.health", *made]
        return label

    yield install_app
    for name in list(sys.modules):
        if name.startswith("sample_health_app_"):
            del sys.modules[name]


def names():
    return [check.name for check in installed_checks()]


def found():
    return [message.id for message in check_health_modules()]


def test_a_list_of_checks_is_found(install):
    install(GOOD + "    checks = [Well()]\n")
    assert names() == ["sample"]
    assert found() == []


def test_a_function_is_asked_each_time(install):
    install(
        GOOD
        + "    asked = []\n    def checks():\n        asked.append(1)\n        return [Well()] * len(asked[:1])\n"
    )
    assert names() == ["sample"]
    assert names() == ["sample"]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "from django.core import checks",
        "checks = None",
        "checks = {}",
        "checks = ['database']",
        "def checks(request): pass",
        "def checks(): raise ValueError('x')",
        "raise SystemExit('a script that was not to be imported')",
    ],
)
def test_a_module_of_that_name_that_means_something_else_is_left_alone(install, source):
    install(source)
    assert names() == []
    assert found() == []


@pytest.mark.parametrize("error", ["import no_such_module", "raise SystemExit(1)"])
def test_another_module_of_that_name_that_breaks_is_only_mentioned(install, error):
    install(f"checks = []; {error}")
    assert names() == []
    assert found() == ["scalekit.health.W003"]


@pytest.mark.parametrize(
    "source",
    [
        "from offered import Well; checks = [Well()]",
        "from offered import Well\ndef checks(): return [Well()]",
        "from offered import *",
    ],
)
def test_a_check_that_is_imported_from_elsewhere_is_found(install, tmp_path, source):
    label = install("")
    (tmp_path / label / "offered.py").write_text(dedent(GOOD) + "checks = [Well()]")
    install(source.replace("offered", f"{label}.offered"))
    assert names() == ["sample"]
    assert found() == []


def test_a_module_that_names_scalekit_is_asked_even_if_it_holds_no_check(install):
    install("from scalekit.health import base\ndef checks(): return [1]")
    assert found() == ["scalekit.health.E001"]


def test_a_module_that_breaks_is_a_failing_check_and_an_error(install):
    label = install(f"import no_such_module\n{dedent(GOOD)}checks = [Well()]")
    assert names() == [f"{label}.health"]
    with pytest.raises(ModuleNotFoundError):
        installed_checks()[0].run()
    assert found() == ["scalekit.health.E002"]


def test_a_function_that_breaks_hides_no_other_checks(install):
    label = install(f"{dedent(GOOD)}\ndef checks():\n    raise ValueError('x')")
    install(GOOD + "    checks = [Well()]\n")
    assert names() == [f"{label}.health", "sample"]


def test_what_is_no_check_is_an_error(install):
    install(GOOD + "    checks = [Well(), print, Well]\n")
    assert names() == ["sample"]
    assert found() == ["scalekit.health.E001", "scalekit.health.E001"]


def test_two_checks_of_one_name_are_an_error(install):
    install(GOOD + "    checks = [Well(), Well()]\n")
    assert names() == ["sample"]
    assert found() == ["scalekit.health.E003"]


@pytest.mark.django_db  # Django's check of JSON fields asks the database
@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([], []),
        (["scalekit.health.middleware.HealthMiddleware", "x"], []),
        (["x", "scalekit.health.middleware.HealthMiddleware"], ["scalekit.health.W001"]),
    ],
)
def test_the_middleware_should_be_first(settings, middleware, ids):
    settings.MIDDLEWARE = middleware
    assert [m.id for m in run_checks() if m.id == "scalekit.health.W001"] == ids


def test_a_check_without_a_name_is_named_and_hides_no_other(install):
    install(
        GOOD
        + """
    class Nameless(Check):
        def run(self):
            pass

    checks = [Well(), Nameless()]
"""
    )
    assert found() == ["scalekit.health.E002"]
    assert len(names()) == 2
