"""How the author of a project runs its tests, and those that are the snippets of a page."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "howto"
PYTEST = ["-m", "pytest", "-c", "/dev/null", "-W", "error", "-p", "scalekit.testing.plugin"]
PYTEST += ["-p", "pytest_django.plugin", "-p", "no:cacheprovider", "--rootdir", "."]
DJANGO = ["-W", "error", "-m", "django", "test", "--shuffle"]
QUIET = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def write_snippets(page, folder):
    """Make each Python block of a how-to a test file in `folder`."""
    snippets = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    for number, snippet in enumerate(snippets):
        (folder / f"test_snippet_{number}.py").write_text(snippet)
