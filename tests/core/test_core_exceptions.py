from __future__ import annotations

from scalekit.core.exceptions import ScalekitError


class NothingLeft(ScalekitError):
    """Nothing is left.

    Not this.
    """


def test_the_docstring_is_the_default_message():
    assert str(NothingLeft()) == "Nothing is left."
    assert str(NothingLeft("Only one is left.")) == "Only one is left."
