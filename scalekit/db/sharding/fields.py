"""Ids that fill themselves in and hold the slot of their row's shard key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models

from scalekit.db.sharding.ids import LEGACY_IDS, MAX_ID, generator, slot_of_id
from scalekit.db.sharding.uuids import slot_of_uuid, uuid_generator

if TYPE_CHECKING:
    _Field = models.Field[Any, Any]
else:
    _Field = models.Field


class SlotIdField(_Field):
    """An id that is made when its row is saved, from the slot of the row's shard key.

    On a `ShardedModel` the shard can be found from the id alone. It is the same before and after
    sharding is switched on. On any other model it is an id that sorts by time, of slot 0.
    """

    def __init__(
        self,
        *args: Any,
        shard_group: str | None = None,
        shard_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["blank"], kwargs["editable"] = True, False
        self.shard_group, self.shard_key = shard_group, shard_key
        super().__init__(*args, **kwargs)

    def slot_of(self, value: Any) -> int | None:
        """Return the slot inside an id, None if there is none."""
        raise NotImplementedError

    def next_id(self, slot: int) -> Any:
        """Return a new id of a slot."""
        raise NotImplementedError

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]  # private_only passes through
        super().contribute_to_class(cls, name, **kwargs)
        # Written into migrations, whose models are plain and know neither.
        self.shard_group = getattr(cls, "shard_group", None) or self.shard_group
        self.shard_key = getattr(cls, "shard_key", None) or self.shard_key

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["blank"], kwargs["editable"]
        if self.shard_group:
            kwargs |= {"shard_group": self.shard_group, "shard_key": self.shard_key}
        return name, path.replace(f"{__name__}.", "scalekit.db."), args, kwargs

    def has_default(self) -> bool:
        """Say yes, so that a new row is one INSERT and no serializer asks for the id."""
        return True

    def get_default(self) -> None:
        """Give nothing yet: the id needs the row's shard key, so it is made when the row is saved."""

    def get_pk_value_on_save(self, instance: models.Model) -> Any:
        return self._new_id(instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if value is None and add:
            value = self._new_id(model_instance)
            setattr(model_instance, self.attname, value)
        return value

    def _new_id(self, instance: models.Model) -> Any:
        return self.next_id(self._slot(instance))

    def _slot(self, instance: models.Model) -> int:
        from scalekit.db.sharding.placing import DEFAULT_SCHEME, required, slot_of_instance

        if self.shard_key is None:
            return 0
        slot = slot_of_instance(instance, DEFAULT_SCHEME)
        if slot is None:
            raise required(type(instance))
        return slot


class SnowflakeField(SlotIdField, models.BigIntegerField):  # type: ignore[type-arg]  # not generic at run time
    """A 64-bit id: 41 bits of milliseconds since 2024, 12 bits of slot, 10 bits that tell ids apart.

    Between processes ids are unique by leases of numbers (SCALEKIT_DB_ID_LEASE_SECONDS).
    """

    description = "Snowflake id (64 bits)"

    def slot_of(self, value: Any) -> int | None:
        return slot_of_id(value) if isinstance(value, int) and value >= LEGACY_IDS else None

    def next_id(self, slot: int) -> int:
        return generator.next_id(slot)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"min_value": 0, "max_value": MAX_ID, **kwargs})


class UUIDv7Field(SlotIdField, models.UUIDField):  # type: ignore[type-arg]  # not generic at run time
    """A UUID of version 7 (RFC 9562): sorts by time, unique without asking a server, with the slot in rand_a."""

    description = "UUID of version 7"

    def slot_of(self, value: Any) -> int | None:
        return slot_of_uuid(value) if isinstance(value, UUID) else None

    def next_id(self, slot: int) -> UUID:
        return uuid_generator.next_id(slot)
