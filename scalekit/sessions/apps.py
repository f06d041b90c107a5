from __future__ import annotations

from scalekit.core.apps import RungConfig


class SessionsConfig(RungConfig):
    name = "scalekit.sessions"
    label = "scalekit_sessions"
    verbose_name = "scalekit: sessions"

    def ready(self) -> None:
        super().ready()
        from scalekit.sessions import password_changes

        password_changes.watch()
