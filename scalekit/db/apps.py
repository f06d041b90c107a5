from __future__ import annotations

from scalekit.core.apps import RungConfig


class DbConfig(RungConfig):
    name = "scalekit.db"
    label = "scalekit_db"
    verbose_name = "Databases"

    def ready(self) -> None:
        super().ready()
        from scalekit.db.sharding.fixtures.placing import guard_fixtures
        from scalekit.db.sharding.transactions.guarding import guard_shards
        from scalekit.db.writes import observe_writes

        observe_writes()
        guard_shards()
        guard_fixtures()
