"""The snippets of the how-to page, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "servers.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
PYTEST = ["-m", "pytest", "-c", "/dev/null", "-p", "scalekit.testing.plugin"]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs(snippet, tmp_path, environment):
    file = tmp_path / "test_snippet.py"
    file.write_text(snippet)
    how = [*PYTEST, "--rootdir", str(tmp_path)] if "def test_" in snippet else []
    done = subprocess.run(
        [sys.executable, *how, str(file)],
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
