from __future__ import annotations

import pytest
from django.apps import AppConfig

from scalekit.core.apps import RungConfig


@pytest.mark.parametrize("rung", ["cache", "cdn", "sessions"])
def test_the_package_name_alone_installs_the_rung(rung):
    config = AppConfig.create(f"scalekit.{rung}")
    assert isinstance(config, RungConfig)
    assert config.label == f"scalekit_{rung}"
