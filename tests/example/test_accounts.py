from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

NEWCOMER = {"username": "grace", "name": "Grace", "password": "a fine long secret"}


@pytest.mark.django_db
def test_sign_up_logs_in(client):
    response = client.post("/join/", NEWCOMER, follow=True)
    assert response.context["user"].profile.name == "Grace"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [("username", "Gr ace"), ("username", "../x"), ("username", ""), ("password", "12345678")],
)
def test_sign_up_explains_what_is_wrong(client, field, value):
    response = client.post("/join/", NEWCOMER | {field: value})
    assert response.context["form"].errors[field]
    assert not get_user_model().objects.exists()


def test_username_is_taken_whatever_its_case(client, person):
    person("Grace")
    response = client.post("/join/", NEWCOMER)
    assert response.context["form"].errors["username"] == ["This username is taken."]


def test_username_taken_between_check_and_save_is_a_form_error(client, person, monkeypatch):
    person("grace")
    forms = "example_project.photos.forms.SignUpForm.clean_username"
    monkeypatch.setattr(forms, lambda form: form.cleaned_data["username"])
    response = client.post("/join/", NEWCOMER)
    assert response.context["form"].errors["username"] == ["This username is taken."]


def test_login_and_logout(client, ada):
    login = client.post("/login/", {"username": "ada", "password": "correct horse battery"})
    assert login.url == "/"
    assert client.get("/settings/").status_code == 200
    client.post("/logout/")
    assert client.get("/settings/").url == "/login/?next=/settings/"


def test_wrong_password_is_told(client, ada):
    response = client.post("/login/", {"username": "ada", "password": "wrong"})
    assert "correct username and password" in response.text


def test_profile_is_edited_and_shown_at_once(as_ada):
    as_ada.get("/@ada/")  # fills the cache
    with_commit = as_ada.post("/settings/", {"name": "Ada L.", "bio": "Numbers"})
    assert with_commit.url == "/@ada/"


@pytest.mark.django_db(transaction=True)
def test_card_is_fresh_after_a_commit(client, ada):
    client.force_login(ada)
    assert client.get(f"/users/{ada.pk}").json()["name"] == "Ada"
    client.post("/settings/", {"name": "Countess", "bio": ""})
    assert client.get(f"/users/{ada.pk}").json()["name"] == "Countess"
