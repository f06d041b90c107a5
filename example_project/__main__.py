"""``python -m example_project`` runs stage 1; ``python -m example_project demo`` the whole ladder."""

from __future__ import annotations

import os
import socket
import sys

USAGE = """\
usage: python -m example_project [ADDRESS:PORT]     the site on one server (default 127.0.0.1:8000)
       python -m example_project demo [OPTIONS]     the site on every rung of the ladder"""

DEFAULT_ADDRESS = "127.0.0.1:8000"


def main(argv: list[str]) -> int:
    if argv[:1] == ["demo"]:
        from example_project.demo import main as demo

        return demo(argv[1:]) or 0
    if len(argv) > 1 or argv[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0 if len(argv) == 1 else 2
    return run_one_server(argv[0] if argv else DEFAULT_ADDRESS)


def run_one_server(address: str) -> int:
    """Migrate, fill in people and photos if there are none, and serve on `address`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings.stage_01_one_server")
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    import django
    from django.core.management import call_command

    host, _, port = address.rpartition(":")
    host = host or "127.0.0.1"
    problem = why_not(host, port)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    try:
        django.setup()
        fill_in()
        welcome(host, port)
        call_command("runserver", f"{host}:{port}", use_reloader=False, verbosity=0)
    except KeyboardInterrupt:
        print()
    return 0


def why_not(host: str, port: str) -> str:
    """Return why nothing can be served there, and what to type instead; empty if all is well."""
    if not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004
        return f"{port!r} is no port.\n{USAGE}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            other = f"python -m example_project {int(port) % 65535 + 1}"
            return f"Cannot serve on {host}:{port}: {error.strerror}. Try another port: {other}"
    return ""


def fill_in() -> None:
    from django.core.management import call_command

    from example_project.photos.models import Photo

    call_command("migrate", verbosity=0)
    if not Photo.objects.exists():
        call_command("seed_photos")


def welcome(host: str, port: str) -> None:
    from example_project.photos.management.commands.seed_photos import DEMO_PASSWORD

    print(f"\n  Sunprint is at  http://{host}:{port}/")
    print(f"  Log in as       ada / {DEMO_PASSWORD}")
    print("  Stop it with    Ctrl-C\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
