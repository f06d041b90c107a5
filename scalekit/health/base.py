"""What a health check is: the contract of every app's ``health.py``.

    # yourapp/health.py
    from scalekit.health.base import Check

    class PaymentGateway(Check):
        name = "payment gateway"
        critical = False            # without it we are degraded, but still worth sending visitors to

        def run(self):
            gateway.ping()          # anything raised here is a failure

    checks = [PaymentGateway()]     # or a function that returns such a list

`checks` as a function is called for every probe, so it may follow the settings. It asks no server: nothing
bounds its time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class Check(ABC):
    """One thing that must be well before this server is sent visitors.

    `run` is called in a thread of its own; database connections that it opens there are closed for it.
    `timeout` is in seconds; the budget of the whole probe (SCALEKIT_HEALTH_BUDGET) bounds it further. A
    check that hangs is started again only after it has come back. `name` is shown to anyone who asks, so
    it names no host and no user.
    """

    name: str
    critical: bool = True
    timeout: float = 1.0

    @abstractmethod
    def run(self) -> None:
        """Return if all is well; raise what went wrong."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'name', 'without a name')}>"
