"""A site of cached views, for the tests of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template import Engine, RequestContext
from django.template.response import SimpleTemplateResponse
from django.urls import path
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache

from scalekit.cache import cached_view


@dataclass
class Runs:
    """How often each view ran."""

    of: list[str] = field(default_factory=list)

    def note(self, name: str) -> int:
        self.of.append(name)
        return len(self.of)


runs = Runs()


class LazyNonce:
    """Made when it is first used, as Django 6 and django-csp make theirs."""

    made = False

    def __bool__(self):
        return self.made

    def __str__(self):
        self.made = True
        return "n0nce"


def nonce_middleware(get_response):
    def middleware(request):
        request._csp_nonce = LazyNonce()
        return get_response(request)

    return middleware


def answer(name: str, text: str = "") -> HttpResponse:
    return HttpResponse(f"{name} {text} {runs.note(name)}", headers={"X-Made-By": name})


@cached_view(60)
def front(request):
    return answer("front", get_language())


@cached_view(60)
def greeting(request):
    return answer("greeting", str(request.user))


@cached_view(60, vary=lambda request: request.user.pk)
def account(request):
    return answer("account", str(request.user))


@cached_view(60, query=["page"])
def listing(request):
    return answer("listing", request.GET.get("page", ""))


@cached_view(60)
def device(request):
    response = answer("device", request.headers.get("X-Device", ""))
    patch_vary_headers(response, ["X-Device"])
    return response


@cached_view(60)
def any_vary(request):
    response = answer("any_vary")
    response["Vary"] = "*"
    return response


@cached_view(60)
def sets_cookie(request):
    response = answer("sets_cookie")
    response.set_cookie("seen", "1")
    return response


@cached_view(60)
def form(request):
    return answer("form", get_token(request))


@cached_view(60, vary=lambda request: request.user.pk)
def my_form(request):
    return answer("my_form", get_token(request))


@cached_view(60)
def nonce(request):
    return answer("nonce", str(request._csp_nonce))


@cached_view(60, vary=lambda request: request.COOKIES.get("theme"))
def my_theme(request):
    return answer("my_theme", request.COOKIES.get("theme"))


@cached_view(60)
def late_form(request):
    return SimpleTemplateResponse(LateToken(request))


ENGINE = Engine(libraries={"scalekit_cache": "scalekit.cache.templatetags.scalekit_cache"})
PART = "{%% load scalekit_cache %%}{%% cached 60 %s %%}%s{%% endcached %%}"
PLAIN = ENGINE.from_string(PART % ("plain", "part"))
THEMED = ENGINE.from_string(PART % ("themed", "{{ visitor.COOKIES.theme }}"))


@cached_view(60)
def parts(request):
    return answer("parts", PLAIN.render(RequestContext(request)))


@cached_view(60)
def themed_parts(request):
    return answer("themed_parts", THEMED.render(RequestContext(request, {"visitor": request})))


class LateToken:
    """A template that takes the CSRF token when it is rendered."""

    def __init__(self, request):
        self.request = request

    def render(self, context, request=None):
        return f"late_form {get_token(self.request)} {runs.note('late_form')}"


@cached_view(60)
def basket(request):
    return answer("basket", request.session.get("basket", "empty"))


@cached_view(60)
def theme(request):
    return answer("theme", request.COOKIES.get("theme", "light"))


@cached_view(60)
def tells(request):
    messages.info(request, "told")
    return answer("tells")


@cached_view(60)
def stream(request):
    runs.note("stream")
    return StreamingHttpResponse([b"a", b"b"])


@cached_view(60)
def missing(request):
    runs.note("missing")
    raise Http404


found_again: list[bool] = []


@cached_view(60)
def sometimes(request):
    response = answer("sometimes")
    response.status_code = 200 if found_again else 500
    return response


@cached_view(60)
@never_cache
def never(request):
    return answer("never")


@cached_view(60)
def binary(request):
    runs.note("binary")
    return HttpResponse(bytes(range(256)), content_type="image/png")


@cached_view(60)
async def later(request):
    return answer("later", str(await request.auser()))


@cached_view(60, vary=lambda request: request.user.pk)
async def later_account(request):
    return answer("later_account", str(await request.auser()))


VIEWS = (
    *(front, greeting, account, listing, device, any_vary, sets_cookie, form, late_form, basket, theme),
    *(my_form, my_theme, nonce, parts, themed_parts),
    *(tells, stream, missing, sometimes, never, binary, later, later_account),
)  # fmt: skip
urlpatterns = [path(view.__name__, view) for view in VIEWS]
