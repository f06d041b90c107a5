from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from scalekit.cache.conf import settings
from scalekit.cache.exceptions import UncacheableFunction
from scalekit.cache.warming import Warmed, Warming, checked

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

WIDTH = 30  # of the bar
EXPLAINED = """\
A warmer is a function that says which calls should be answered from the cache:

  # shop/warmers.py
  def profiles():
      for pk in User.objects.order_by("-last_login").values_list("pk", flat=True)[:10_000]:
          yield profile, pk                  # a cached function and its arguments

  manage.py cache_warm shop.warmers.profiles --threads 8
  manage.py cache_warm                       # those in SCALEKIT_CACHE_WARMERS
  manage.py cache_warm --refresh             # load anew what is there already

Run it before a new cache server, or a release with other keys, gets visitors. The command fails
if a call does, or if what it returned is not in the cache afterwards.
"""


class Command(BaseCommand):
    help = "Fill the cache before visitors do."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog, parser.formatter_class = EXPLAINED, RawDescriptionHelpFormatter
        parser.add_argument("warmers", nargs="*", help="Dotted paths of functions.")
        parser.add_argument("--threads", type=int, default=4, help="How many calls at once; 4.")
        parser.add_argument("--refresh", action="store_true", help="Load anew what is there.")

    def handle(self, *_: Any, **options: Any) -> None:
        paths = options["warmers"] or list(settings.WARMERS)
        if not paths:
            raise CommandError(
                "Name a warmer, as in cache_warm shop.warmers.profiles, or write SCALEKIT_CACHE_WARMERS."
            )
        if options["threads"] < 1:
            raise CommandError("--threads: write 1 or more.")
        warmers = [(path, _warmer(path)) for path in paths]
        failed = [path for path, warmer in warmers if not self._warm(path, warmer, options)]
        if failed:
            raise CommandError(f"Not all could be loaded: {', '.join(failed)}.")

    def _warm(self, path: str, warmer: Callable[[], Any], options: dict[str, Any]) -> bool:
        started, jobs = monotonic(), warmer()
        jobs = [] if jobs is None else jobs  # it has done its work itself
        bar = Bar(self.stdout, path, len(jobs) if hasattr(jobs, "__len__") else None)
        warming = Warming(threads=options["threads"], refresh=options["refresh"], told=bar.show)
        try:
            warmed = warming.run(checked(jobs, path))
        except UncacheableFunction as error:
            raise CommandError(str(error)) from error
        finally:
            bar.end()
        said = f"{path}: {warmed.done - warmed.failed} ready, {warmed.failed} failed"
        style = self.style.ERROR if warmed.failed else self.style.SUCCESS
        self.stdout.write(style(f"{said}, {monotonic() - started:.1f} s"))
        for told in warmed.errors:
            self.stderr.write(told)
        return not warmed.failed


class Bar:
    """Progress on a terminal; nothing elsewhere, where it would fill a log."""

    def __init__(self, out: Any, name: str, total: int | None) -> None:
        self._out, self._name, self._total = out, name, total
        self._next = 0.0

    def show(self, warmed: Warmed) -> None:
        if not self._out.isatty() or monotonic() < self._next:
            return
        self._next = monotonic() + 0.1
        self._out.write(f"\r{self._name} {progress(warmed.done, self._total)}", ending="")
        self._out.flush()

    def end(self) -> None:
        if self._out.isatty():
            self._out.write("\r\x1b[K", ending="")


def progress(done: int, total: int | None) -> str:
    """Return a bar, or a number where nobody knows how many there are."""
    if not total:
        return str(done)
    filled = min(WIDTH, WIDTH * done // total)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total}"


def _warmer(path: str) -> Callable[[], Any]:
    try:
        found = import_string(path)
    except ImportError as error:
        raise CommandError(f"{path}: {error}") from error
    if not callable(found):
        raise CommandError(f"{path} is no function.")
    return found  # type: ignore[no-any-return]  # what it returns is looked at
