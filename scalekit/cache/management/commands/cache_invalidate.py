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
        dry_run = options["dry_run"]
        try:
            rows = [_row(text) for text in options["model"]]
            ending = (
                _ending(options) if function else None
            )  # all that may be wrong, before any write
            if not dry_run:
                invalidate_tags(*tags)
                invalidate_models(*rows)
            self._say(dry_run, [*tags, *options["model"]])
            if ending is not None:
                self._say(dry_run, [ending.end(dry_run=dry_run)])
        except (UncacheableArgument, UncacheableFunction, ConnectionError) as error:
            raise CommandError(str(error)) from error

    def _say(self, dry_run: bool, ended: list[str]) -> None:
        """Say what was ended. Raises CommandError if a cache did not hear it."""
        deaf = [alias for alias in caches.settings if store_of(alias).is_down]
        if deaf:
            raise CommandError(
                f"No answer from {', '.join(deaf)}: run the command again when it is back."
            )
        for name in ended:
            self.stdout.write(f"{'would end' if dry_run else 'ended'} {name}")


class OneCall:
    """The value of one call. Raises CommandError for a call that there cannot be."""

    def __init__(self, path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        self._function, self._args, self._kwargs = cached_at(path), args, kwargs
        self._said = f"{path}(*{args}, **{kwargs})"
        try:
            self._function._key(tuple(args), kwargs)  # noqa: SLF001 - of our own class
        except Exception as error:  # a key= of the project's own may raise anything
            raise CommandError(f"{self._said} is no call of it: {error}") from error

    def end(self, *, dry_run: bool) -> str:
        """Return what was ended, or would be."""
        if not dry_run:
            forget = self._function.invalidate
            forget = async_to_sync(forget) if iscoroutinefunction(forget) else forget
            forget(*self._args, **self._kwargs)
        return self._said


class AllCalls:
    """All values of a function. Raises CommandError, and what `keys_of` raises."""

    def __init__(self, path: str, alias: str) -> None:
        if alias not in caches.settings:
            raise CommandError(f"CACHES has no {alias!r}; it has {', '.join(caches.settings)}.")
        self._path, self._alias, self._keys = path, alias, keys_of(alias, path)

    def end(self, *, dry_run: bool) -> str:
        """Do as `OneCall.end` does."""
        count = 0
        for keys in self._keys:
            count += len(keys)
            if not dry_run:
                invalidate(self._alias, keys)
        return f"{count} values of {self._path}"


def _ending(options: dict[str, Any]) -> OneCall | AllCalls:
    if options["arguments"] is None:
        return AllCalls(options["function"], options["alias"])
    return OneCall(options["function"], *options["arguments"])


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
            found = getattr(found, name, None)
        break
    if not isinstance(found, Cached):
        raise CommandError(
            f"{path} is no cached function. Without --arguments all values of that name are ended."
        )
    return found


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
