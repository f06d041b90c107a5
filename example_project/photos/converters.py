from __future__ import annotations

LARGEST = 2**63 - 1


class IdConverter:
    """A database id: other numbers are unknown addresses, and never reach a query."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > LARGEST:
            raise ValueError(value)
        return number

    def to_url(self, value: int) -> str:
        return str(value)
