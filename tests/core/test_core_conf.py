from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from scalekit.core.conf import Setting, Settings, known_settings, load_all_settings
from scalekit.core.exceptions import ScalekitError, SettingInvalid


class SampleSettings(Settings):
    prefix = "SCALEKIT_SAMPLE_"

    SECONDS = Setting[float](1.5, "Seconds to wait.", kind=(int, float))
    COUNT = Setting[int](
        3, "How many.", kind=int, valid=lambda n: n > 0, expected="a number above 0"
    )
    NAMES = Setting[list[str]](list, "Names.", kind=(list, tuple))
    FLAG = Setting[bool](False, "Whether.", kind=bool)
    TOKEN = Setting[str]("", "A secret.", kind=str)
    URL = Setting[str](
        "", "Address.", kind=str, valid=lambda url: url[:5] in {"", "tcp:/"}, example="tcp://host"
    )


sample = SampleSettings()
SAMPLES = {name: known_settings.pop(name) for name in list(known_settings) if "_SAMPLE_" in name}


@pytest.fixture(autouse=True)
def _known_only_here():
    known_settings.update(SAMPLES)
    yield
    for name in SAMPLES:
        del known_settings[name]


def test_default_is_used_when_the_project_sets_nothing():
    assert sample.SECONDS == 1.5


def test_a_function_as_default_gives_each_reader_its_own():
    SampleSettings.NAMES.read().append("x")
    assert SampleSettings.NAMES.read() == []


def test_override_settings_is_seen_at_once_and_forgotten_after():
    assert sample.COUNT == 3
    with override_settings(SCALEKIT_SAMPLE_COUNT=7):
        assert sample.COUNT == 7
    assert sample.COUNT == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNT", "7"),
        ("COUNT", True),
        ("COUNT", 0),
        ("COUNT", None),
        ("SECONDS", True),
        ("FLAG", 1),
        ("NAMES", "abc"),
    ],
)
def test_wrong_value_is_refused_and_the_error_names_setting_value_and_remedy(name, value):
    with (
        override_settings(**{f"SCALEKIT_SAMPLE_{name}": value}),
        pytest.raises(SettingInvalid, match=rf"SCALEKIT_SAMPLE_{name} = .*Write for example"),
    ):
        getattr(sample, name)


def test_a_boolean_setting_takes_booleans():
    with override_settings(SCALEKIT_SAMPLE_FLAG=True):
        assert sample.FLAG is True


def test_wrong_secret_is_not_shown():
    with (
        override_settings(SCALEKIT_SAMPLE_TOKEN=b"hunter2"),
        pytest.raises(SettingInvalid) as error,
    ):
        _ = sample.TOKEN
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://:hunter2@host:1/0",
        "valkey://me:hun@ter2@host:1",
        "valkey://me:hunter2 @host",
        "tcp:me:hunter2@host",
        ":hunter2@host",
        ["valkey://:hunter2@host", "valkey://:hunter2@host"],
    ],
)
def test_the_password_of_a_mistyped_url_is_not_shown(url):
    with override_settings(SCALEKIT_SAMPLE_URL=url), pytest.raises(SettingInvalid) as error:
        _ = sample.URL
    assert "ter2" not in str(error.value)
    assert "@host" in str(error.value)


def test_an_example_is_what_the_error_tells_to_write():
    with (
        override_settings(SCALEKIT_SAMPLE_URL="x"),
        pytest.raises(SettingInvalid, match="Write for example SCALEKIT_SAMPLE_URL = 'tcp://host'"),
    ):
        _ = sample.URL


def test_the_class_lists_the_settings_and_the_instance_reads_them():
    assert isinstance(SampleSettings.SECONDS, Setting)
    assert SampleSettings.SECONDS.name == "SCALEKIT_SAMPLE_SECONDS"


def test_a_prefix_that_is_not_scalekits_is_refused():
    with pytest.raises(TypeError, match="SCALEKIT_"):
        type("Wrong", (Settings,), {"prefix": "OTHER_"})


@pytest.mark.django_db  # Django's check of JSON fields asks the database
def test_unknown_setting_gets_did_you_mean():
    with override_settings(SCALEKIT_REGOIN="eu-1"):
        [message] = [m for m in run_checks() if m.id == "scalekit.core.E001"]
    assert "SCALEKIT_REGOIN" in message.msg
    assert message.hint == "Did you mean SCALEKIT_REGION?"


@pytest.mark.django_db  # Django's check of JSON fields asks the database
def test_name_unlike_any_other_gets_the_list():
    with override_settings(SCALEKIT_XYZZY=1):
        [message] = [m for m in run_checks() if m.id == "scalekit.core.E001"]
    assert message.hint.startswith("Known are: ")


@pytest.mark.django_db  # Django's check of JSON fields asks the database
def test_unusable_value_is_a_system_check():
    with override_settings(SCALEKIT_SAMPLE_COUNT="many"):
        messages = [m for m in run_checks() if m.id == "scalekit.core.E002"]
    assert "SCALEKIT_SAMPLE_COUNT" in messages[0].msg


def test_every_rungs_settings_are_found_without_installing_it():
    assert {"SCALEKIT_REGION", "SCALEKIT_METRICS_TOKEN", "SCALEKIT_HEALTH_BUDGET"} <= set(
        load_all_settings()
    )


def test_a_wrong_setting_is_one_of_scalekits_own_exceptions():
    assert issubclass(SettingInvalid, ScalekitError)
