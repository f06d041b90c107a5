"""What all tests share. In CI nothing may be skipped but what another version or a server not to be had is for."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from example_project.demo.site import DemoSite

# How the reason of a skip must begin to be allowed in CI.
ALLOWED_SKIPS = ("other version: ", "other server: ")


def skipped_without_leave(reports: list[pytest.TestReport]) -> list[str]:
    """Return the tests that CI may not skip."""
    reasons = {
        r.nodeid: str(r.longrepr[-1]) if isinstance(r.longrepr, tuple) else "" for r in reports
    }
    return [
        node
        for node, reason in reasons.items()
        if not any(allowed in reason for allowed in ALLOWED_SKIPS)
    ]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set apart what was imported: to look through all of it stops every thread for a third of a second."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test a second try, and one on real servers a third; the summary shows them.

    Tests on servers measure seconds, with twenty processes on whatever cores there are: when the machine
    stalls, no promise is broken. One that is broken fails each time.
    """
    if not config.pluginmanager.hasplugin("rerunfailures"):  # a run inside a test has few plugins
        return
    here = Path(__file__).parent
    for item in items:
        on_servers = item.get_closest_marker("servers") or item.get_closest_marker("browser")
        is_timed = on_servers or item.path.is_relative_to(here / "integration")
        item.add_marker(pytest.mark.flaky(reruns=2 if is_timed else 1))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in CI that has left something out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    missing = skipped_without_leave(reporter.stats.get("skipped", []))
    if missing:
        reporter.write_line(f"\nSkipped in CI, where everything must run: {', '.join(missing)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    """The whole ladder, started once, with a few people and photos."""
    from rich.console import Console

    from example_project.demo.site import DemoSite
    from scalekit.testing.servers import Topology

    with Topology(tmp_path_factory.mktemp("demo") / "servers") as topology:
        site = DemoSite(topology)
        site.start(Console(quiet=True))
        site.manage("seed_photos", "--people=6", "--photos=12", f"--password={site.password}")
        yield site
