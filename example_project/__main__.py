"""``python -m example_project`` runs stage 1; ``python -m example_project demo`` the whole ladder."""

from __future__ import annotations

import os
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
    from django.core.management import CommandError, call_command

    try:
        django.setup()
        prepare(address)
        call_command("runserver", address, use_reloader=False, verbosity=0)
    except KeyboardInterrupt:
        print()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def prepare(address: str) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from example_project.photos.management.commands.seed_photos import DEMO_PASSWORD

    call_command("migrate", verbosity=0)
    if not get_user_model().objects.exists():
        call_command("seed_photos")
    shown = address if ":" in address else f"127.0.0.1:{address}"
    print(f"\n  Sunprint is at  http://{shown}/")
    print(f"  Log in as       ada / {DEMO_PASSWORD}")
    print("  Stop it with    Ctrl-C\n", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
