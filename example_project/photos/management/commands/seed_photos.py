"""Fill the site in with people, the photographs that are shipped, likes and comments."""

from __future__ import annotations

import random
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from example_project.photos import seeding

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Iterator

DEMO_PASSWORD = "sunprint-demo"


class Command(BaseCommand):
    help = "Fill in people, photos, likes and comments. What is there already is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--people", type=int, default=24, help="how many people (default 24)")
        parser.add_argument("--photos", type=int, default=60, help="how many photos (default 60)")
        parser.add_argument("--seed", type=int, default=1, help="the same number, the same site")
        parser.add_argument("--password", default=DEMO_PASSWORD, help="everybody's password")
        parser.add_argument("--staff", action="store_true", help="let ada into the admin")
        parser.add_argument(
            "--inline", action="store_true", help="make the thumbnails here, not by the task"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        check(options["people"], options["photos"])
        chance = random.Random(options["seed"])
        people = self.add_people(options)
        seeding.add_follows(people, chance)
        added = self.add_photos(people, chance, options)
        self.stdout.write(
            f"{len(people)} people, {options['photos']} photos ({added} of them new)."
        )
        self.stdout.write(f"Log in as ada / {options['password']}")

    def add_people(self, options: dict[str, Any]) -> list[Any]:
        adding = seeding.add_people(options["people"], options["password"])
        people = list(self.progress(adding, options["people"], "People"))
        if options["staff"]:
            people[0].is_staff = people[0].is_superuser = True
            people[0].save(update_fields=["is_staff", "is_superuser"])
        return people

    def add_photos(self, people: list[Any], chance: random.Random, options: dict[str, Any]) -> int:
        plan = seeding.plan_photos(people, options["photos"], chance)
        watched = self.progress(plan, len(plan), "Photos")
        return sum(seeding.add_photo(planned, inline=options["inline"]) for planned in watched)

    def progress(self, items: Iterable[Any], total: int, title: str) -> Iterator[Any]:
        """Yield the items under a progress bar, where there is a terminal to draw it on."""
        if not self.stdout.isatty():
            yield from items
            return
        with bar(self, total, title) as advance:
            for item in items:
                yield item
                advance()


def check(people: int, photos: int) -> None:
    if people < 2:  # noqa: PLR2004
        msg = "--people must be at least 2: somebody has to like the photos."
        raise CommandError(msg)
    most = people * seeding.MOST_PHOTOS_EACH
    if not 0 <= photos <= most:
        msg = f"--photos must be between 0 and {most} for {people} people."
        raise CommandError(msg)


@contextmanager
def bar(command: BaseCommand, total: int, title: str) -> Iterator[Any]:
    if find_spec("rich"):
        from rich.progress import Progress

        with Progress() as progress:
            task = progress.add_task(title, total=total)
            yield lambda: progress.advance(task)
    else:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            command.stdout.write(f"\r{title} {done}/{total}", ending="\n" if done == total else "")
            command.stdout.flush()

        yield advance
