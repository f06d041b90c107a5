from __future__ import annotations

from scalekit.queue import task


@task
def resize(number):
    return number
