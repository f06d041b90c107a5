from __future__ import annotations

import json
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError

from scalekit.cache.exceptions import UncacheableArgument, UncacheableFunction
from scalekit.cache.functions import Cached
from scalekit.cache.invalidation.base import invalidate
from scalekit.cache.invalidation.models import dependency
from scalekit.cache.invalidation.tags import invalidate_models, invalidate_tags
from scalekit.cache.scanning import keys_of
from scalekit.cache.store import store_of

if TYPE_CHECKING:
    from argparse import ArgumentParser

EXPLAINED = """\
  manage.py cache_invalidate --tag user:7 --tag news
  manage.py cache_invalidate --model photos.Photo            everything that depends on any photo
  manage.py cache_invalidate --model photos.Photo:42         ... on this one
  manage.py cache_invalidate --function shop.views.profile --arguments '[42]'
  manage.py cache_invalidate --function shop.views.profile   all its values
  manage.py cache_invalidate --function fragment.sidebar     {% cached 60 "sidebar" %}
  manage.py cache_invalidate --function photos.models.Photo.cached

Tags and models are one write each, however many values there are. All values of a function are found by walking
through the keys of the server, which takes a while and harms nobody. Loads that are running store nothing.
"""


class Command(BaseCommand):
    help = "End cached values: by tag, by model or row, by function."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog, parser.formatter_class = EXPLAINED, RawDescriptionHelpFormatter
        parser.add_argument("--tag", action="append", default=[], help="A tag; may be repeated.")
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            metavar="APP.MODEL[:KEY]",
            help="May be repeated.",
        )
        parser.add_argument("--function", help="The dotted path of a cached function.")
        parser.add_argument(
            "--arguments",
            type=_arguments,
            metavar="JSON",
            help="A list, or a dict of arguments by name.",
        )
        parser.add_argument("--alias", default="default", help="The entry of CACHES; default.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be ended.")

    def handle(self, *_: Any, **options: Any) -> None:
        tags, function = options["tag"], options["function"]
        if options["arguments"] is not None and not function:
            raise CommandError("--arguments are those of a --function: name it.")
        if not (tags or options["model"] or function):
            raise CommandError("Name what is to end: --tag, --model or --function.")
        try:
            rows = [_row(text) for text in options["model"]]
            if not options["dry_run"]:
                invalidate_tags(*tags)
                invalidate_models(*rows)
            self._say(options["dry_run"], [*tags, *options["model"]])
            if function:
                self._function(options)
        except (UncacheableArgument, UncacheableFunction, ConnectionError) as error:
            raise CommandError(str(error)) from error

    def _function(self, options: dict[str, Any]) -> None:
        path, dry_run = options["function"], options["dry_run"]
        if options["arguments"] is not None:
            args, kwargs = options["arguments"]
            function = cached_at(path)
            if not dry_run:
                _invalidate_call(function, args, kwargs)
            self._say(dry_run, [f"{path}(*{args}, **{kwargs})"])
            return
        if options["alias"] not in caches.settings:
            raise CommandError(
                f"CACHES has no {options['alias']!r}; it has {', '.join(caches.settings)}."
            )
        count = 0
        for keys in keys_of(options["alias"], path):
            count += len(keys)
            if not dry_run:
                invalidate(options["alias"], keys)
        self._say(dry_run, [f"{count} values of {path}"])

    def _say(self, dry_run: bool, ended: list[str]) -> None:
        """Say what was ended. Raises CommandError if a cache did not hear it."""
        deaf = [alias for alias in caches.settings if store_of(alias).is_down]
        if deaf:
            raise CommandError(
                f"No answer from {', '.join(deaf)}: run the command again when it is back."
            )
        for name in ended:
            self.stdout.write(f"{'would end' if dry_run else 'ended'} {name}")


def cached_at(path: str) -> Any:
    """Return the cached function at a dotted path. Raises CommandError."""
    found: Any = None
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = vars(found).get(name) if isinstance(found, type) else getattr(found, name, None)
        break
    if not isinstance(found, Cached):
        raise CommandError(
            f"{path} is no cached function. Without --arguments all values of that name are ended."
        )
    return found


def _invalidate_call(function: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    forget = function.invalidate
    (async_to_sync(forget) if iscoroutinefunction(forget) else forget)(*args, **kwargs)


def _row(text: str) -> Any:
    """Return what APP.MODEL or APP.MODEL:KEY means. Raises `UncacheableArgument`."""
    label, colon, key = text.partition(":")
    item = dependency((label, key) if colon else label)
    return (item.model, item.pk) if colon else item.model


def _arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text} is no JSON: {error}") from error
    if isinstance(found, list):
        return found, {}
    if isinstance(found, dict):
        return [], found
    raise ArgumentTypeError(f"{text} is neither a list nor a dict: write '[{text}]'")
