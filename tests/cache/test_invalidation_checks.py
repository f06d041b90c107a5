from __future__ import annotations

import pytest

from scalekit.cache.invalidation.base import Dependencies
from scalekit.cache.invalidation.checks import check_dependencies
from tests.cache.shop.models import Photo, Tag

pytestmark = pytest.mark.usefixtures("photos")


def found(name):
    """Return the ids and hints of what is said about one function, or setting."""
    return {m.id: m.hint for m in check_dependencies() if name in m.msg}


def test_models_that_every_process_announces_are_fine():
    function = Dependencies("default", (), [Photo, Tag], function="listed")
    assert found("listed") == {}
    del function


def test_a_model_that_the_setting_does_not_name_is_an_error(settings):
    settings.SCALEKIT_CACHE_MODELS = ["gallery.Photo"]
    function = Dependencies("default", (), [Photo, "gallery.Tag"], function="half_listed")
    assert list(found("half_listed")) == ["scalekit.cache.E010"]
    del function


def test_without_the_setting_other_processes_would_not_know(settings):
    settings.SCALEKIT_CACHE_MODELS = []
    function = Dependencies("default", (), [Photo], function="alone")
    assert found("alone") == {
        "scalekit.cache.W010": "Write SCALEKIT_CACHE_MODELS = ['gallery.Photo']."
    }
    del function


def test_a_cache_that_the_setting_does_not_name_is_an_error():
    function = Dependencies("pages", ["a"], function="elsewhere")
    assert found("elsewhere") == {
        "scalekit.cache.E011": "Write SCALEKIT_CACHE_ALIASES = ['default', 'pages']."
    }
    del function


def test_a_cache_that_does_not_exist_is_an_error(settings):
    settings.SCALEKIT_CACHE_ALIASES = ["default", "nowhere"]
    assert list(found("nowhere")) == ["scalekit.cache.E012"]


def test_a_model_that_does_not_exist_is_an_error(settings):
    settings.SCALEKIT_CACHE_MODELS = ["gallery", "gallery.Photo", "gallery.Phto", "*"]
    assert list(found("gallery.Phto")) == ["scalekit.cache.E013"]
    assert [m.id for m in check_dependencies()].count("scalekit.cache.E013") == 1
