"""`{% cached %}`: a part of a page, rendered once for all whose page it is part of."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.middleware.csrf import get_token
from django.template import Context, Engine, RequestContext, TemplateSyntaxError
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy, override

from scalekit.cache import invalidate_tags
from scalekit.cache.exceptions import UnwatchedModel
from scalekit.cache.fragments import Fragment

LIBRARIES = {
    "scalekit_cache": "scalekit.cache.templatetags.scalekit_cache",
    "i18n": "django.templatetags.i18n",
}


@pytest.fixture
def runs():
    return []


@pytest.fixture
def render(runs):
    """Render ``{% cached ARGUMENTS %}BODY{% endcached %}``, whose body may call ``{{ ran }}``."""

    def ran():
        runs.append(1)
        return len(runs)

    def render(arguments, body="{{ ran }}", context=None, **values):
        context = Context() if context is None else context
        source = (
            f"{{% load scalekit_cache i18n %}}{{% cached {arguments} %}}{body}{{% endcached %}}"
        )
        with context.push(ran=ran, **values):
            return Engine(libraries=LIBRARIES).from_string(source).render(context)

    return render


def test_a_fragment_is_rendered_once(render, runs):
    assert render('60 "side"') == render("60 side") == "1"
    assert len(runs) == 1


def test_each_name_and_each_argument_has_its_own(render, runs):
    for arguments in ("60 a", "60 b", "60 a 1", "60 a '1'", "60 a 1 2", "60 a none"):
        render(arguments, none=None)
    assert len(runs) == 6


def test_lazy_text_is_text(render, runs):
    for value in ("x", gettext_lazy("x")):
        render("60 a value", value=value)
    assert len(runs) == 1


def test_text_that_only_looks_safe_is_escaped(render):
    assert render("60 a value", "{{ value }}", value=mark_safe("<b>")) == "<b>"
    assert render("60 a value", "{{ value }}", value="<b>") == "&lt;b&gt;"


def test_two_fragments_of_one_name_are_two(render):
    two = "{{ ran }}{% endcached %}{% cached 60 a %}{{ ran }}"
    assert render("60 a", two) == render("60 a", two) == "12"


def test_two_templates_of_one_text_have_each_their_own():
    texts = dict.fromkeys(("one", "other"), "{% cached 60 a %}{{ name }}{% endcached %}")
    loaders = [("django.template.loaders.locmem.Loader", texts)]
    engine = Engine(loaders=loaders, libraries=LIBRARIES, builtins=[LIBRARIES["scalekit_cache"]])
    assert [engine.get_template(name).render(Context({"name": name})) for name in texts] == list(
        texts
    )


@pytest.mark.django_db
def test_a_user_is_an_argument_and_nobody_is_one_too(render):
    ana, ben = (User.objects.create_user(name) for name in ("ana", "ben"))
    seen = [render("60 a user", user=user) for user in (ana, ben, AnonymousUser(), ana)]
    assert seen == ["1", "2", "3", "1"]


def test_every_language_has_its_own(render):
    with override("de"):
        german = render("60 a", "{% get_current_language as code %}{{ code }}")
    assert (german, render("60 a", "{% get_current_language as code %}{{ code }}")) == ("de", "en")


def test_what_is_kept_is_not_escaped_again(render):
    assert render("60 a", "<b>{{ value }}</b>", value="<") == "<b>&lt;</b>"
    assert render("60 a", "<b>{{ value }}</b>", value="<") == "<b>&lt;</b>"


def test_an_edited_template_is_rendered_anew(runs):
    def render(text):
        loaders = [("django.template.loaders.locmem.Loader", {"page": text})]
        engine = Engine(
            loaders=loaders, libraries=LIBRARIES, builtins=[LIBRARIES["scalekit_cache"]]
        )
        return engine.get_template("page").render(Context())

    assert render("{% cached 60 a %}old{% endcached %}") == "old"
    assert render("{% cached 60 a %}new{% endcached %}") == "new"


def test_a_token_inside_is_never_kept(render, rf, heard):
    refused = heard("cache_page_refused")
    tokens = set()
    for _ in range(3):
        request = rf.get("/")
        context = RequestContext(request)
        context["csrf_token"] = get_token(request)
        tokens.add(render("60 a", "{{ csrf_token }}", context))
    assert len(tokens) == 3
    assert {(event["function"], event["reason"]) for event in refused} == {
        ("fragment.a", "csrf token")
    }


def test_a_token_elsewhere_on_the_page_does_not_matter(render, rf, runs):
    for _ in range(2):
        request = rf.get("/")
        context = RequestContext(request)
        context["csrf_token"] = get_token(request)
        render("60 a", context=context)
    assert len(runs) == 1


def test_a_page_without_a_token_gets_none(render, rf):
    request = rf.get("/")
    render("60 a", context=RequestContext(request))
    assert "CSRF_COOKIE" not in request.META


def test_a_fragment_ends_with_its_tags(render):
    assert render("60 a tags='news'") == render("60 a tags='news'") == "1"
    invalidate_tags("news")
    assert render("60 a tags='news'") == "2"
    assert render("60 b tags=both", both=["news", "sport"]) == "3"
    invalidate_tags("sport")
    assert render("60 b tags=both", both=["news", "sport"]) == "4"


@pytest.mark.django_db(transaction=True)
def test_a_fragment_ends_with_its_rows(render, settings):
    settings.SCALEKIT_CACHE_MODELS = ["auth"]
    staff, guests = (Group.objects.create(name=name) for name in ("staff", "guests"))
    assert render("60 a depends_on=group", group=staff) == "1"
    guests.save()
    assert render("60 a depends_on=group", group=staff) == "1"
    staff.save()
    assert render("60 a depends_on=group", group=staff) == "2"
    assert render("60 b depends_on='auth.Group'") == "3"
    guests.delete()
    assert render("60 b depends_on='auth.Group'") == "4"


def test_rows_whose_writes_are_not_announced_everywhere_are_refused(render):
    with pytest.raises(UnwatchedModel, match=r"The fragment a depends on auth\.Group"):
        render("60 a depends_on='auth.Group'")


def test_a_fragment_made_beside_its_page_sees_the_page_as_it_was(runs):
    nodes = Engine().from_string("{{ item }} {{ forloop.counter }}").nodelist
    context = Context({"item": "first", "forloop": {"counter": 1}})
    context.template = Engine().from_string("")
    fragment = Fragment("a", (), nodes, context)
    context["item"] = "second"
    context["forloop"]["counter"] = 2
    fragment.thread = -1
    assert fragment.render() == {"html": "first 1"}
    assert fragment.html is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("60", "Write"),
        ("60 name|upper", "needs a name"),
        ("60 a nope=1", "knows no nope="),
        ("0 a", "write 1 or more"),
        ("seconds a", "write 1 or more"),
    ],
)
def test_a_wrong_tag_says_how_it_is_written(render, arguments, why):
    with pytest.raises(TemplateSyntaxError, match=why):
        render(arguments)


def test_none_is_a_time_without_end(render):
    assert render("None a") == render("None a") == "1"
