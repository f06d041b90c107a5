"""What is compared: one way to cache an item's price each, put up as its own documentation says."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.cache_loads import loads, price_of

TTL = 3600
SHOP = "benchmarks.cache_shop"


class Setup:
    """A cache under test. `timeout` sets its Redis time-outs, in seconds; None leaves the library's own."""

    name = ""
    needs = "django"
    apps = ()
    is_ours = False

    def __init__(self, url, timeout=None):
        self.url, self.timeout = url, timeout

    def settings(self):
        """Return what it adds to Django's settings."""
        return {}

    def open(self):
        """Be ready to serve; Django is set up."""

    def get(self, key):
        """Return the price, from the cache if it is there."""
        raise NotImplementedError

    def invalidate(self, key):
        """Give up what is stored, where the library leaves that to us."""

    def write(self, change, key):
        """Make a change and let the library know, as its documentation says."""
        from django.db import transaction

        change(key)
        transaction.on_commit(lambda: self.invalidate(key))


def serve(setup, database=None):
    """Make this process a site with `setup`."""
    import django
    from django.conf import settings

    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        INSTALLED_APPS=[*setup.apps, "django.contrib.contenttypes", SHOP],
        DATABASES={"default": database or memory},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        SECRET_KEY="x" * 50,
        LOGGING_CONFIG=None,
        USE_TZ=True,
        **setup.settings(),
    )
    django.setup()
    loads.watch()
    setup.open()
    return setup


class GetOrSet(Setup):
    backend = ""

    def options(self):
        return {}

    def settings(self):
        default = {"BACKEND": self.backend, "LOCATION": self.url, "OPTIONS": self.options()}
        return {"CACHES": {"default": default}}

    def open(self):
        from django.core.cache import cache

        self.cache = cache

    def get(self, key):
        return self.cache.get_or_set(f"item:{key}", lambda: price_of(key), TTL)

    def invalidate(self, key):
        self.cache.delete(f"item:{key}")


class DjangoRedis(GetOrSet):
    name = "django-redis get_or_set"
    needs = "django_redis"
    backend = "django_redis.cache.RedisCache"

    def options(self):
        if self.timeout is None:
            return {}
        return {"SOCKET_TIMEOUT": self.timeout, "SOCKET_CONNECT_TIMEOUT": self.timeout}


class DjangoRedisIgnoring(DjangoRedis):
    name = "django-redis, IGNORE_EXCEPTIONS"

    def options(self):
        return {**super().options(), "IGNORE_EXCEPTIONS": True}


class DjangoOwn(GetOrSet):
    name = "Django RedisCache get_or_set"
    needs = "redis"
    backend = "django.core.cache.backends.redis.RedisCache"

    def options(self):
        if self.timeout is None:
            return {}
        return {"socket_timeout": self.timeout, "socket_connect_timeout": self.timeout}


class Scalekit(DjangoRedis):
    name = "scalekit @cached, invalidate()"
    is_ours = True
    apps = ("scalekit.cache",)
    keywords = {}

    def open(self):
        from scalekit.cache import cached

        self.page = cached(ttl=TTL, **self.keywords)(price_of)

    def get(self, key):
        return self.page(key)

    def write(self, change, key):
        change(key)
        self.page.invalidate(key)  # waits for the commit by itself


class ScalekitModels(Scalekit):
    name = "scalekit @cached(depends_on=)"

    def settings(self):
        return {**super().settings(), "SCALEKIT_CACHE_MODELS": ["cache_shop"]}

    def open(self):
        from benchmarks.cache_shop.models import Item
        from scalekit.cache import cached

        self.page = cached(ttl=TTL, depends_on=lambda key: [(Item, key)])(price_of)

    def write(self, change, key):
        change(key)


class ScalekitTags(Scalekit):
    name = "scalekit @cached(tags=)"
    keywords = {"tags": ["items"]}

    def write(self, change, key):
        from scalekit.cache import invalidate_tags

        change(key)
        invalidate_tags("items")


class ScalekitTiered(ScalekitModels):
    name = "scalekit, TieredCache"

    def settings(self):
        tiered = "scalekit.cache.backends.tiered.TieredCache"
        settings = super().settings()
        default = {"BACKEND": tiered, "OPTIONS": {"over": "shared"}}
        caches = {"shared": settings["CACHES"]["default"], "default": default}
        return {**settings, "CACHES": caches}


def installed(*kinds):
    """Return those set-ups whose packages are here."""
    return [kind for kind in kinds if find_spec(kind.needs)]
