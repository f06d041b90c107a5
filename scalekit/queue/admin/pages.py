"""Lists: one that costs the same for a hundred million rows, and one that is all there is to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import URLPattern

LONGEST = 10_000  # rows that the pages reach; filters find what lies further back


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs alone
    """Counts up to `LONGEST` rows and no further: PostgreSQL would read all of them for a number nobody reads."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # the admin's is a queryset
        return int(rows.order_by()[:LONGEST].count())


class ListAlone(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """A list of what the table alone does not know: nothing is added or deleted, and no single entry has a page."""

    class Media:  # noqa: D106 - Django's
        css = {"all": ("scalekit_queue/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        return False

    def get_urls(self) -> list[URLPattern]:
        return [url for url in super().get_urls() if str(url.name).endswith("_changelist")]
