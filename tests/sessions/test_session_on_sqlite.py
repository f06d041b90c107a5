"""The database engine where rows cannot be locked: it tries again instead."""

from __future__ import annotations

import pytest
from django.contrib.sessions.backends.base import UpdateError

from scalekit.sessions.stores import database


def test_two_requests_keep_each_others_keys(engine, log_in, django_user_model):
    key = log_in(django_user_model(pk=7))
    one, other = engine(key), engine(key)
    one["a"], other["b"] = 1, 2
    one.save(), other.save()
    assert dict(engine(key).items()) == {"_auth_user_id": "7", "a": 1, "b": 2}


def test_a_save_that_is_overtaken_again_and_again_arrives(
    engine, log_in, django_user_model, monkeypatch
):
    key = log_in(django_user_model(pk=7))
    late = engine(key)
    late["late"] = True
    real, overtakers = database._record, iter(range(3))

    def overtaken(found):
        record = real(found)
        if next(overtakers, None) is not None:
            monkeypatch.setattr(database, "_record", real)
            session = engine(key)
            session["count"] = session.get("count", 0) + 1
            session.save()
            monkeypatch.setattr(database, "_record", overtaken)
        return record

    session = engine(key)
    session["first"] = True
    session.save()
    monkeypatch.setattr(database, "_record", overtaken)
    late.save()
    monkeypatch.setattr(database, "_record", real)
    after = engine(key)
    assert (after["late"], after["first"], after["count"]) == (True, True, 3)


def test_a_logout_holds(engine, log_in, django_user_model):
    key = log_in(django_user_model(pk=7))
    late = engine(key)
    late["seen"] = True
    engine(key).flush()
    with pytest.raises(UpdateError):
        late.save()
    assert engine(key).load() == {}
