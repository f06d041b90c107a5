from __future__ import annotations

from http import HTTPStatus

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import path

from scalekit.sessions import sessions_of
from scalekit.sessions.records import name_of

pytestmark = pytest.mark.urls(__name__)
urlpatterns = [path("admin/", admin.site.urls)]
PAGE = "/admin/scalekit_sessions/session/"


@pytest.fixture
def ana(engine):
    return User.objects.create_user("ana")


@pytest.fixture
def staff(engine):
    """Return a function that logs someone in who has some permissions on sessions."""

    def staff(*permissions):
        user = User.objects.create_user("boss", is_staff=True)
        names = [f"{name}_session" for name in permissions]
        ours = Permission.objects.filter(content_type__app_label="scalekit_sessions")
        user.user_permissions.set(ours.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    return staff


def test_a_users_sessions_are_listed(staff, log_in, ana):
    key = log_in(ana)
    page = staff("view").get(PAGE, {"user": "ana"}).content.decode()
    assert name_of(key) in page
    assert key not in page
    assert "Log out everywhere" not in page


def test_who_may_not_view_sees_nothing(staff, ana):
    assert staff().get(PAGE, {"user": "ana"}).status_code == HTTPStatus.FORBIDDEN


def test_who_may_view_ends_nothing(staff, log_in, ana):
    log_in(ana)
    response = staff("view").post(f"{PAGE}?user=ana", {"everywhere": ""})
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert len(sessions_of(ana)) == 1


def test_a_selected_session_is_ended_and_the_log_says_so(staff, log_in, ana):
    gone, stays = log_in(ana), log_in(ana)
    client = staff("view", "delete")
    client.post(f"{PAGE}?user=ana", {"selected": "", "name": name_of(gone)})
    assert [session.name for session in sessions_of(ana)] == [name_of(stays)]
    assert LogEntry.objects.get().object_id == str(ana.pk)


def test_all_are_ended_at_once(staff, log_in, ana):
    log_in(ana), log_in(ana)
    staff("view", "delete").post(f"{PAGE}?user=ana", {"everywhere": ""})
    assert sessions_of(ana) == []


def test_the_session_of_another_user_is_not_ended_by_its_name(staff, log_in, ana):
    bob = User.objects.create_user("bob")
    key = log_in(bob)
    staff("view", "delete").post(f"{PAGE}?user=ana", {"selected": "", "name": name_of(key)})
    assert len(sessions_of(bob)) == 1


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "nobody\x00"])
def test_what_is_asked_for_is_escaped(staff, name):
    page = staff("view").get(PAGE, {"user": name}).content.decode()
    assert "<script>alert" not in page
    assert "There is no user" in page


def test_ending_needs_a_token(staff, ana):
    client = staff("view", "delete")
    client.handler.enforce_csrf_checks = True
    assert client.post(f"{PAGE}?user=ana", {"everywhere": ""}).status_code == HTTPStatus.FORBIDDEN


def test_other_engines_have_no_such_page(staff, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    client = staff("view")
    assert client.get(PAGE).status_code == HTTPStatus.FORBIDDEN
    assert "scalekit_sessions" not in client.get("/admin/").content.decode()
