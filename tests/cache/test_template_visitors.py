"""`{% cached %}` on the pages of several visitors: nothing of one is shown to another."""

from __future__ import annotations

import pytest
from django.contrib.auth.context_processors import auth
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.messages.context_processors import messages as messages_of
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.template import Context, Engine, RequestContext
from django.utils.functional import SimpleLazyObject
from django.views import View

from scalekit.cache.fragments import Fragment

ENGINE = Engine(libraries={"scalekit_cache": "scalekit.cache.templatetags.scalekit_cache"})


@pytest.fixture
def ask(rf):
    """Render ``{% cached ARGUMENTS %}BODY{% endcached %}`` for a visitor; `ahead` is rendered before it."""

    def ask(arguments, body, user=None, ahead="", *, told="", **values):
        request = rf.get("/")
        request.user = SimpleLazyObject(lambda: user or AnonymousUser())
        request.session, request._messages = SessionStore(), CookieStorage(request)
        request.session.update(values.pop("session", {}))
        request.COOKIES.update(values.pop("cookies", {}))
        if told:
            request._messages.add(20, told)
        source = (
            f"{{% load scalekit_cache %}}{ahead}|{{% cached {arguments} %}}{body}{{% endcached %}}"
        )
        processors = [auth, messages_of, lambda request: {"request": request}]
        context = RequestContext(request, processors=processors)
        context.push(values)
        return ENGINE.from_string(source).render(context).split("|", 1)[1]

    return ask


@pytest.fixture
def ana():
    return User.from_db("default", ["id", "username", "is_active"], [7, "ana", True])


@pytest.fixture
def ben():
    return User.from_db("default", ["id", "username", "is_active"], [9, "ben", False])


@pytest.mark.parametrize(
    "body",
    [
        "{{ user.username }}",
        "{{ request.user.username }}",
        "{% if user.is_authenticated %}{{ user }}{% endif %}",
        "{{ me.username }}",
        "{{ user }}{% cached 60 inner %}inner{% endcached %}",
        "{% cached 60 inner %}{{ user }}{% endcached %}",
        "{% cached 60 inner request.user %}{{ user }}{% endcached %}",
    ],
)
def test_who_is_logged_in_is_shown_to_nobody_else(ask, ana, ben, heard, body):
    refused = heard("cache_page_refused")
    assert "ana" in ask("60 a", body, ana, "{{ user }}", me=ana)
    assert "ana" not in ask("60 a", body, ben, "{{ user }}", me=ben)
    assert {"function": "fragment.a", "reason": "user"}.items() <= refused[-1].items()


def test_what_is_of_nobody_is_shared_by_all_who_are_logged_in(ask, ana, ben):
    assert ask("60 a", "{{ text }}", ana, "{{ user }}", text="one") == "one"
    assert ask("60 a", "{{ text }}", ben, "{{ user }}", text="other") == "one"
    assert ask("60 a", "{{ text }}", text="third") == "one"


def test_a_fragment_of_each_asks_for_nobody_s_session(ask, ana):
    asked = []
    ask("60 a", "text", SimpleLazyObject(lambda: asked.append(1) or ana))
    assert asked == []


def test_permissions_are_each_visitor_s_own(ask, ana, ben):
    ana.is_superuser = True
    body = "{{ perms.auth.add_user }}"
    assert [ask("60 a", body, user, "{{ user }}") for user in (ana, ben)] == ["True", "False"]


def test_messages_are_told_to_whom_they_are_meant_for(ask):
    body = "{% for message in messages %}{{ message }}{% endfor %}"
    assert [ask("60 a", body, told=told) for told in ("one", "other", "")] == ["one", "other", ""]


def test_messages_elsewhere_on_the_page_do_not_matter(ask):
    assert ask("60 a", "{{ text }}", told="one", text="one") == "one"
    assert ask("60 a", "{{ text }}", text="other") == "one"


@pytest.mark.parametrize("of", ["session", "cookies"])
def test_an_argument_that_names_no_visitor_frees_nothing(ask, ana, ben, of):
    body = "{{ request.session.cart }}{{ request.COOKIES.cart }}"
    seen = [
        ask("60 photo 8", body, user, "{{ user }}", **{of: {"cart": name}})
        for user, name in ((ana, "ana"), (ben, "ben"), (None, "guest"))
    ]
    assert seen == ["ana", "ben", "guest"]


@pytest.mark.parametrize("named", ["request.user", "user", "user.pk", "user.pk 9"])
def test_a_fragment_that_names_its_visitor_is_theirs(ask, ana, ben, named):
    body = "{{ user }} {{ request.session.cart }} {{ text }}"
    for text in ("one", "later"):
        assert ask(f"60 a {named}", body, ana, session={"cart": 1}, text=text) == "ana 1 one"
        assert ask(f"60 a {named}", body, ben, session={"cart": 2}, text=text) == "ben 2 one"


def test_a_number_like_the_visitor_s_gives_their_fragment_to_nobody(ask, ana, ben):
    assert ask("60 photo 7", "{{ user }}", ana, "{{ user }}") == "ana"
    assert ask("60 photo 7", "{{ user }}", ben, "{{ user }}") == "ben"


def test_guests_have_one_fragment_without_their_cookies(ask, ana):
    body = "{{ user.is_authenticated }} {{ text }}"
    assert ask("60 a user", body, text=1) == ask("60 a user", body, text=2) == "False 1"
    assert ask("60 a user", body, ana, text=3) == "True 3"
    cart = "{{ request.COOKIES.cart }}"
    assert [ask("60 b user", cart, cookies={"cart": n}) for n in "ab"] == ["a", "b"]


def test_personal_says_that_the_arguments_name_the_visitor(ask):
    body = "{{ request.COOKIES.cart }}"
    of = "60 a token personal=True"
    assert [ask(of, body, cookies={"cart": n}, token="t") for n in "ab"] == ["a", "a"]
    assert ask(of, body, cookies={"cart": "c"}, token="u") == "c"
    assert [ask(of, body, cookies={"cart": n}, token=None) for n in "de"] == ["d", "e"]


@pytest.mark.parametrize("arguments", ["user", "7 token", "''"])
def test_nobody_is_not_personal(ask, arguments):
    body = "{{ request.COOKIES.cart }}"
    of = f"60 a {arguments} personal=True"
    assert [ask(of, body, cookies={"cart": n}, token=None) for n in "ab"] == ["a", "b"]


def test_a_personal_fragment_makes_the_one_around_it_personal(ask):
    body = "{% cached 60 inner token personal=True %}{{ token }}{% endcached %}"
    assert [ask("60 outer", body, token=n) for n in "aba"] == ["a", "b", "a"]


def test_a_template_for_no_request_has_its_user_too(ana, ben):
    source = "{% load scalekit_cache %}{% cached 60 a %}{{ user }}{% endcached %}"
    template = ENGINE.from_string(source)
    assert [template.render(Context({"user": user})) for user in (ana, ben)] == ["ana", "ben"]


@pytest.mark.parametrize("path", ["request", "visitor", "view.request"])
def test_a_fragment_made_beside_its_page_watches_as_well(rf, path):
    request = rf.get("/")
    request.COOKIES["cart"] = "of ana"
    context = RequestContext(request, {"visitor": request, "view": View(request=request)})
    context["request"] = request
    template = ENGINE.from_string(f"{{{{ {path}.COOKIES.cart }}}}")
    context.template = template
    fragment = Fragment("a", (), template.nodelist, context)
    fragment.thread = -1
    assert fragment.render() == {"refused": "cookies"}
    assert request.COOKIES == {"cart": "of ana"}


def test_messages_are_watched_beside_the_page_too(rf):
    request = rf.get("/")
    request.session, request._messages = SessionStore(), CookieStorage(request)
    request._messages.add(20, "told")
    context = RequestContext(request, {"messages": request._messages})
    template = ENGINE.from_string("{% for message in messages %}{{ message }}{% endfor %}")
    context.template = template
    fragment = Fragment("a", (), template.nodelist, context)
    fragment.thread = -1
    assert fragment.render() == {"refused": "messages"}
