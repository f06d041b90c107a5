"""What Django asks of each of its session engines, and of its middleware, asked of ours."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.test import SimpleTestCase, TestCase
from sessions_tests import tests as django_s

from scalekit.sessions.middleware import SessionMiddleware
from scalekit.sessions.models import Epoch, Session

django_s.SessionMiddleware = (
    SessionMiddleware  # the name under which its middleware tests look for one
)


class EngineTests(django_s.SessionTestsMixin, TestCase):
    backend = import_module(settings.SESSION_ENGINE).SessionStore


class CommittedEngineTests(django_s.SessionTestsMixin, SimpleTestCase):
    """Once more without a transaction around each test, in which the hybrid engine would use its database alone."""

    databases = ("default",)
    backend = EngineTests.backend

    def tearDown(self):
        super().tearDown()
        Session.objects.all().delete()
        Epoch.objects.all().delete()
