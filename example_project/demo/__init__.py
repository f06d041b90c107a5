"""``make demo``: the site on every rung of the ladder, on real servers of this machine.

`site` starts it, `tour` proves it, `board` shows it, `visitor` is somebody with a browser.
"""

from __future__ import annotations

from example_project.demo.command import main

__all__ = ["main"]
