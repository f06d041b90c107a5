"""A project as `startproject` makes it, with the lines of the docs page and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.queue.processes import eventually

LINES = """
INSTALLED_APPS += ["scalekit.queue", "shop"]
TASKS = {{"default": {{"BACKEND": "scalekit.queue.backend.DramatiqBackend"}}}}
SCALEKIT_QUEUE_BROKER = {{
    "default": {{
        "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
        "OPTIONS": {{"url": "{url}"}},
    }},
}}
"""
SHOP_TASKS = """
from scalekit.queue import task

@task
def send_receipt(order_id):
    return f"receipt {order_id}"
"""
ENQUEUE = "from shop.tasks import send_receipt; print(send_receipt.enqueue(7).id)"
ASK = "from shop.tasks import send_receipt; r = send_receipt.get_result('{id}'); print(r.status, r.is_finished and r.return_value)"


@pytest.fixture
def project(tmp_path, scalekit_servers):
    """Give a function that runs ``manage.py`` in a new project."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "site_.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }

    def run(*arguments, start=subprocess.run, **options):
        command = [sys.executable, "-W", "error", "-m", "django", *arguments]
        return start(command, cwd=tmp_path, env=env, text=True, **options)

    run("startproject", "site_", ".", check=True)
    with (tmp_path / "site_" / "settings.py").open("a") as settings:
        settings.write(LINES.format(url=scalekit_servers.valkey().url))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "tasks.py").write_text(SHOP_TASKS)
    return run


@pytest.mark.servers
def test_a_job_runs_with_the_lines_of_the_page_and_nothing_else(project, tmp_path):
    def answer(code):
        done = project("shell", "--no-imports", "-c", code, capture_output=True, check=True)
        return done.stdout.strip()

    said = project("check", "--fail-level=WARNING", capture_output=True)
    assert said.returncode == 0, said.stderr
    project("migrate", "-v0", check=True)
    assert project("makemigrations", "--check", "--dry-run", capture_output=True).returncode == 0
    with (tmp_path / "log").open("w") as log:
        workers = project("run_workers", start=subprocess.Popen, stdout=log, stderr=log)
    try:
        job = answer(ENQUEUE)
        end = "SUCCESSFUL receipt 7"
        assert eventually(lambda: answer(ASK.format(id=job)) == end, 60), (
            tmp_path / "log"
        ).read_text()
        workers.terminate()
        assert workers.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        workers.kill()
        workers.wait()
