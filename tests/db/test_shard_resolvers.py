from __future__ import annotations

from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.http import Http404, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from scalekit.core.exceptions import SettingInvalid
from scalekit.db import on_every_shard, using_shard
from scalekit.db.conf import resolvers
from scalekit.db.exceptions import ShardKeyRequired, ShardLocked
from scalekit.db.middleware import ShardSelector
from scalekit.db.sharding.resolvers.header import HeaderResolver
from scalekit.db.sharding.resolvers.path import PathResolver
from scalekit.db.sharding.resolvers.subdomain import SubdomainResolver
from scalekit.db.sharding.resolvers.user import UserResolver


def counting(request, owner_id=None):
    from tests.db.shop.models import Order

    return HttpResponse(Order.objects.count())


urlpatterns = [path("people/<int:owner_id>/", counting), path("names/<owner_id>/", counting)]


def selected(kind, **options):
    module = kind.__module__
    entry = {"BACKEND": f"{module}.{kind.__name__}", "OPTIONS": options}
    return override_settings(SCALEKIT_DB_SHARD_SELECTOR={"users": entry}, ROOT_URLCONF=__name__)


def get(view, url="/", user=None, **headers):
    request = RequestFactory().get(url, **headers)
    request.user = user or SimpleNamespace(is_authenticated=False, pk=None)
    return ShardSelector(view)(request)


def user(pk):
    return SimpleNamespace(is_authenticated=True, pk=pk, account_id=f"account-{pk}")


@pytest.fixture
def order(shards):
    """One order of customer 7."""
    from tests.db.shop.models import Order

    return Order.objects.create(customer_id=7)


def test_the_user_s_id_is_the_key(order):
    with selected(UserResolver):
        assert get(counting, user=user(7)).content == b"1"
        with pytest.raises(ShardKeyRequired):
            get(counting)


def test_another_attribute_of_the_user_may_be_the_key():
    resolver = UserResolver("users", attribute="account_id")
    assert resolver.resolve(SimpleNamespace(user=user(7))) == "account-7"


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("acme.example.com", "acme"),
        ("ACME.example.com:8000", "acme"),
        ("www.example.com", None),
        ("example.com", None),
        ("a.b.example.com", None),
        ("acme.example.com.evil.test", None),
        ("evilexample.com", None),
    ],
)
def test_the_subdomain_is_the_key(host, key):
    with override_settings(ALLOWED_HOSTS=["*"]):
        request = RequestFactory().get("/", headers={"host": host})
        assert SubdomainResolver("users", domain="example.com").resolve(request) == key


@pytest.mark.parametrize(("peer", "key"), [("10.0.0.5", "7"), ("203.0.113.9", None)])
def test_a_header_is_believed_from_a_trusted_proxy_alone(peer, key):
    with override_settings(SCALEKIT_TRUSTED_PROXIES=["10.0.0.0/24"]):
        request = RequestFactory().get("/", headers={"X-Account": "7"}, REMOTE_ADDR=peer)
        assert HeaderResolver("users", header="X-Account").resolve(request) == key


def test_a_keyword_of_the_path_is_the_key(order):
    with selected(PathResolver, keyword="owner_id"):
        assert get(counting, "/people/7/").content == b"1"
        with pytest.raises(ShardKeyRequired):
            get(counting, "/elsewhere/")


def test_a_key_of_a_visitor_s_that_has_no_shard_is_not_found(shards):
    directory = {"BACKEND": "scalekit.db.sharding.ranges.Ranges", "OPTIONS": {}}
    directory["OPTIONS"] = {"shards": list(shards), "boundaries": [100]}
    with (
        override_settings(SCALEKIT_DB_SHARDING={"users": directory}),
        selected(PathResolver, keyword="owner_id"),
        pytest.raises(Http404),
    ):
        get(counting, "/names/no-number/")


def test_a_request_keeps_to_its_shard(order):
    def view(request):
        with using_shard("users", 7):
            assert counting(request).content == b"1"
        with pytest.raises(ShardLocked, match=r"using_shard\('users', 8, lock=False\)"):
            using_shard("users", 8).__enter__()
        with using_shard("users", 8, lock=False):
            counting(request)
        return HttpResponse()

    with selected(UserResolver):
        get(view, user=user(7))


def test_a_view_may_still_name_other_keys_and_ask_every_shard(order):
    from tests.db.shop.models import Order

    def view(request):
        counting(request)
        assert not Order.objects.filter(customer_id=8).exists()
        return HttpResponse(str(sum(Order.objects.count() for _ in on_every_shard("users"))))

    with selected(UserResolver):
        assert get(view, user=user(7)).content == b"1"


def test_the_lock_can_be_switched_off(order):
    def view(request):
        with using_shard("users", 8):
            return counting(request)

    with selected(UserResolver), override_settings(SCALEKIT_DB_SHARD_LOCK=False):
        get(view, user=user(7))


def test_other_groups_and_requests_without_a_shard_are_not_locked(order):
    def view(request):
        with using_shard("users", 8):
            return counting(request)

    with selected(UserResolver):
        get(view)


def test_an_async_view_is_locked_once_the_shard_is_known(order):
    async def view(request):
        async with using_shard("users", 7):
            await counted()
        await counted()
        with pytest.raises(ShardLocked):
            async with using_shard("users", 8):
                pass
        return HttpResponse()

    async def counted():
        from tests.db.shop.models import Order

        return await Order.objects.acount()  # codespell:ignore acount

    async def serve():
        return await get(view, user=user(7))

    with selected(UserResolver):
        async_to_sync(serve)()


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (UserResolver, {"attribute": ""}, "attribute is ''"),
        (SubdomainResolver, {"domain": "."}, "example.com"),
        (SubdomainResolver, {"domain": "example.com", "ignored": "www"}, "write a list"),
        (HeaderResolver, {"header": 7}, "X-Account"),
        (PathResolver, {"keyword": None}, "owner_id"),
    ],
)
def test_wrong_options_say_what_to_write(kind, options, told):
    with selected(kind, **options):
        with pytest.raises(SettingInvalid, match=told):
            resolvers["users"]
        assert "scalekit.db.E006" in [fault.id for fault in run_checks()]


def test_a_selector_of_an_unknown_group_is_a_fault(shards):
    entry = {"BACKEND": "scalekit.db.sharding.resolvers.user.UserResolver"}
    with override_settings(SCALEKIT_DB_SHARD_SELECTOR={"user": entry}):
        assert "scalekit.db.E021" in [fault.id for fault in run_checks()]
