from __future__ import annotations

import pytest
from django.conf import settings
from django.test import override_settings

from scalekit.core.backends import Backends
from scalekit.core.exceptions import SettingInvalid

HERE = f"{__name__}.Tin"


class Base:
    def __init__(self, alias, *, size=1):
        if size < 0:
            raise ValueError("size below 0")
        self.alias, self.size = alias, size


class Tin(Base):
    pass


class NotABase:
    pass


tins = Backends("SCALEKIT_SAMPLE_TINS", Base, lambda: getattr(settings, "SCALEKIT_SAMPLE_TINS", {}))


def test_a_backend_is_made_once_with_alias_and_options():
    with override_settings(SCALEKIT_SAMPLE_TINS={"a": {"BACKEND": HERE, "OPTIONS": {"size": 3}}}):
        assert tins["a"] is tins["a"]
        assert (tins["a"].alias, tins["a"].size) == ("a", 3)
        assert "a" in tins
        assert "b" not in tins
        assert list(tins) == ["a"]


def test_a_changed_setting_gives_another_backend():
    with override_settings(SCALEKIT_SAMPLE_TINS={"a": {"BACKEND": HERE}}):
        before = tins["a"]
        with override_settings(
            SCALEKIT_SAMPLE_TINS={"a": {"BACKEND": HERE, "OPTIONS": {"size": 2}}}
        ):
            assert tins["a"].size == 2
        assert tins["a"] is not before


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "no such alias"),
        ({"a": None}, "no such alias"),
        ({"a": HERE}, "BACKEND"),
        ({"a": {}}, "BACKEND"),
        ({"a": {"BACKEND": "nowhere.Tin"}}, "cannot be imported"),
        ({"a": {"BACKEND": "tin"}}, "cannot be imported"),
        ({"a": {"BACKEND": 7}}, "cannot be imported"),
        ({"a": {"BACKEND": f"{__name__}.NotABase"}}, "is no Base"),
        ({"a": {"BACKEND": f"{__name__}.HERE"}}, "is no Base"),
        ({"a": {"BACKEND": HERE, "OPTIONS": {"colour": 1}}}, "refuses its OPTIONS"),
        ({"a": {"BACKEND": HERE, "OPTIONS": {"size": -1}}}, "refuses its OPTIONS"),
        ({"a": {"BACKEND": HERE, "OPTIONS": 7}}, "refuses its OPTIONS"),
        ({"a": {"BACKEND": HERE, "OPTIONS": {1: 2}}}, "refuses its OPTIONS"),
    ],
)
def test_every_fault_names_setting_and_alias(config, says):
    with (
        override_settings(SCALEKIT_SAMPLE_TINS=config),
        pytest.raises(SettingInvalid, match=rf"SCALEKIT_SAMPLE_TINS\['a'\].*{says}"),
    ):
        tins["a"]
