"""Sphinx: Markdown pages, the furo theme, reference pages generated from the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import reference_pages  # noqa: E402 - found through the path above

import scalekit  # noqa: E402

project = "scalekit"
author = "the django-scalekit contributors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name
version = release = scalekit.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "scalekit"
html_static_path: list[str] = []
suppress_warnings = ["myst.header"]  # a page may begin with a table of contents

reference_pages.write(Path(__file__).parent / "reference")
