from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from scalekit.sessions import sessions_of
from scalekit.sessions.models import Session

COMMANDS = ["clear_expired_sessions", "end_sessions", "session_stats"]


def said(*arguments, **options):
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def expired(engine):
    then = timezone.now() - timedelta(days=1)
    times = dict.fromkeys(("created", "saved", "expires"), then)
    Session.objects.bulk_create(Session(name=f"old {n}", data="{}", **times) for n in range(25))


def test_expired_sessions_are_cleared_in_batches_and_live_ones_stay(expired, log_in):
    log_in(User(pk=7))
    told = said("clear_expired_sessions", batch=10, verbosity=2)
    assert told.splitlines() == [
        "10 of 25 removed",
        "20 of 25 removed",
        "25 of 25 removed",
        "25 expired sessions removed.",
    ]
    assert Session.objects.count() == 1


def test_a_dry_run_removes_nothing(expired):
    assert said("clear_expired_sessions", dry_run=True).startswith("25 expired")
    assert Session.objects.count() == 25


def test_djangos_own_command_clears_ours_too(expired):
    call_command("clearsessions")
    assert Session.objects.count() == 0


def test_statistics(expired, log_in):
    for pk in (7, 7, 8):
        log_in(User(pk=pk))
    figures = json.loads(said("session_stats", json=True))
    assert figures == {"sessions": 3, "users": 2, "expired": 25, "database": "default"}
    assert "sessions            3" in said("session_stats")


def test_a_users_sessions_are_ended(log_in):
    ana = User.objects.create_user("ana")
    log_in(ana), log_in(ana)
    assert said("end_sessions", "ana", dry_run=True) == "2 sessions would be ended.\n"
    assert said("end_sessions", "ana") == "2 sessions ended.\n"
    assert sessions_of(ana) == []


def test_those_of_a_user_who_is_gone_too(log_in):
    log_in(User(pk=42))
    assert said("end_sessions", id="42") == "1 sessions ended.\n"


def test_an_id_is_read_as_the_users_model_reads_it(log_in):
    log_in(User(pk=42))
    assert said("end_sessions", id="042") == "1 sessions ended.\n"
    with pytest.raises(CommandError, match="--id 'ana' is no user's"):
        call_command("end_sessions", id="ana")


def test_a_user_who_never_was(engine):
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("end_sessions", "nobody")


@pytest.mark.parametrize("command", ["clear_expired_sessions", "session_stats"])
def test_other_engines_have_other_commands(db, command):
    with pytest.raises(CommandError, match=r"Write one of scalekit.sessions.redis"):
        call_command(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_shows_how(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert f"manage.py {command}" in capsys.readouterr().out.partition("examples:")[2]
