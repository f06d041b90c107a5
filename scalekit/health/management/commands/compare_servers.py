from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from scalekit.health.comparing import ask, differences
from scalekit.health.conf import settings

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = (
        "Ask each web server itself, past the load balancer, and say where they differ: another SECRET_KEY logs "
        "visitors out whenever they meet the other server."
    )
    requires_system_checks = ()  # it looks at others

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", nargs="+", help="such as http://10.0.0.11:8000")
        parser.add_argument("--token", default="", help="default: SCALEKIT_HEALTH_TOKEN")
        parser.add_argument("--timeout", type=float, default=5, help="seconds (default 5)")

    def handle(self, *, url: list[str], token: str, timeout: float, **_: Any) -> None:
        try:
            told = {server: ask(server, token or settings.TOKEN, timeout) for server in url}
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        found = differences(told)
        for what, servers in found.items():
            self.stdout.write(f"{what} differs:")
            for server, value in servers.items():
                self.stdout.write(f"  {server}  {value}")
        if found:
            raise CommandError("These servers are not alike: deploy the same settings to each.")
        self.stdout.write(f"{len(told)} servers are alike.")
