"""Sharded models in Django's admin: lists over every shard, or over one; each row written on its own.

    from scalekit.db.sharding.admin import ShardedModelAdmin

    @admin.register(Photo)
    class PhotoAdmin(ShardedModelAdmin): ...

Until the model's group is configured it is a `ModelAdmin` like any other. Page: docs/howto/use_sharded_models.md.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import ForeignKeyRawIdWidget, ManyToManyRawIdWidget
from django.utils.translation import gettext_lazy as _

from scalekit.db.conf import schemes
from scalekit.db.exceptions import ShardKeyRequired, WrongShard
from scalekit.db.sharding.declarations import group_of
from scalekit.db.sharding.placing import (
    on_any_shard,
    on_shard,
    primary_of_context,
    primary_of_instance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model
    from django.http import HttpRequest

PARAMETER = "shard"


class ShardFilter(admin.SimpleListFilter):
    """Show the rows of one shard: `ShardedModelAdmin.get_queryset` asks that one alone."""

    title, parameter_name = _("shard"), PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's contract
        group = group_of(model_admin.model)
        return [] if group is None else [(alias, alias) for alias in schemes[group].shards]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's contract
        return queryset


class ShardedModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """A `ModelAdmin` whose list is merged from all shards, and whose pages work on the shard of their row.

    Each page is one transaction on that shard; actions and `list_editable` are one a row or one a shard.
    """

    show_full_result_count = False  # which would ask every shard once more
    show_facets = admin.ShowFacets.NEVER  # which would ask every shard once for each value

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        group = group_of(self.model)
        if group is None:
            return rows
        alias = request.GET.get(PARAMETER)
        # The primary and none of its replicas: actions write with what they are given.
        return rows.using(alias) if alias in schemes[group].shards else rows.scatter()

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return filters if group_of(self.model) is None else [*filters, ShardFilter]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if request.method == "POST" and "_save" in request.POST:  # list_editable
            with self._anywhere():
                return super().changelist_view(request, extra_context)
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        with self._beside(request, object_id):
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        with self._beside(request, object_id):
            return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        group = group_of(self.model)
        if group is None:
            return super().get_deleted_objects(objs, request)
        parts: dict[str | None, list[Model]] = {}
        for obj in objs:
            parts.setdefault(primary_of_instance(obj, group), []).append(obj)
        found: tuple[list[Any], dict[str, int], set[str], list[Any]] = [], {}, set(), []
        for alias, rows in parts.items():
            with on_shard(group, alias or ""):
                deleted, counts, denied, protected = super().get_deleted_objects(rows, request)
            found[0].extend(deleted)
            for name, count in counts.items():
                found[1][name] = found[1].get(name, 0) + count
            found[2].update(denied)
            found[3].extend(protected)
        return found

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Ask for the id of a sharded row: a list to choose from would be of all shards."""
        if self._is_free(db_field):
            widget = ForeignKeyRawIdWidget(db_field.remote_field, self.admin_site)
            kwargs = {"widget": widget, "queryset": _choices(db_field), **kwargs}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Ask for the ids of sharded rows."""
        if self._is_free(db_field):
            widget = ManyToManyRawIdWidget(db_field.remote_field, self.admin_site)
            kwargs = {"widget": widget, "queryset": _choices(db_field), **kwargs}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def _is_free(self, db_field: Any) -> bool:
        """Return whether a relation is to a sharded model, and the project has chosen no widget for it."""
        chosen = {*self.autocomplete_fields, *self.radio_fields, *self.filter_horizontal}
        is_sharded = group_of(db_field.remote_field.model) is not None
        return is_sharded and db_field.name not in chosen | {*self.filter_vertical}

    @contextmanager
    def _beside(self, request: HttpRequest, object_id: str | None) -> Iterator[None]:
        """Work on the shard of the page's row, which for a new one its form says."""
        group = group_of(self.model)
        if group is None:
            yield
            return
        if object_id is None:
            row = self._new_row(request) if request.method == "POST" else None
        else:
            row = self.get_object(request, unquote(object_id))
        alias = None if row is None else _home(row, group)
        with self._anywhere() if alias is None else on_shard(group, alias):
            yield

    @contextmanager
    def _anywhere(self) -> Iterator[None]:
        """Let Django have a shard for the transaction of a page that is about no row, or about several."""
        group = group_of(self.model)
        if group is None:
            yield
            return
        with on_any_shard(group):
            yield

    def _new_row(self, request: HttpRequest) -> Any:
        form = self.get_form(request, None, change=False)(request.POST, request.FILES)
        try:
            form.is_valid()
        except (
            ShardKeyRequired
        ):  # rows of several shards are named: the form itself will refuse them
            return None
        return form.instance


def _home(row: Any, group: str) -> str | None:
    try:
        return primary_of_instance(row, group)
    except WrongShard:  # the form is about to say so
        return None


def _choices(db_field: Any) -> Any:
    """Return the rows that may be chosen: those of the page's shard, where that is known."""
    model = db_field.remote_field.model
    rows = model._default_manager.all()  # noqa: SLF001 - Django's documented API
    group = group_of(model)
    alias = None if group is None else primary_of_context(group)
    return rows if alias is None else rows.using(alias)
