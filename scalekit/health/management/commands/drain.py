from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from scalekit.health.conf import settings
from scalekit.health.drain import start_draining, stop_draining

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Tell the load balancer to send this server no more visitors; it goes on serving those it has."
    requires_system_checks = ()  # a server must be able to leave whatever is wrong with it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait", type=float, default=0, help="seconds to wait before returning (default 0)"
        )
        parser.add_argument("--undo", action="store_true", help="take visitors again")

    def handle(self, *, wait: float, undo: bool, **_: Any) -> None:
        if not settings.DRAIN_FILE:
            raise CommandError(
                'Set SCALEKIT_HEALTH_DRAIN_FILE, for example to "/run/photos/drain", to use this command.'
            )
        try:
            (stop_draining if undo else start_draining)()
        except OSError as error:
            raise CommandError(f"SCALEKIT_HEALTH_DRAIN_FILE: {error}") from error
        sleep(0 if undo else wait)
