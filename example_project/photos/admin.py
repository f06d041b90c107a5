"""What the staff can look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from scalekit.db.sharding.admin import ShardedModelAdmin

from . import people
from .models import Comment, Follow, Like, Photo, Profile

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

admin.site.site_header = admin.site.site_title = "Sunprint"
admin.site.index_title = "People and photos"


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ("user", "name", "bio")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")
    raw_id_fields = ("user",)


@admin.register(Follow)
class FollowAdmin(admin.ModelAdmin):
    list_display = ("follower", "followed", "created_at")
    list_select_related = ("follower", "followed")
    raw_id_fields = ("follower", "followed")
    date_hierarchy = "created_at"


class OfAnOwner(ShardedModelAdmin):
    """Rows of everybody, from every shard, or of whom is searched for; they are changed on the site, not here."""

    search_fields = ("owner_id",)
    search_help_text = "User name of the person whose photos these are"

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet,
        search_term: str,
    ) -> tuple[QuerySet, bool]:
        if not search_term:
            return queryset, False
        owner = people.members().filter(username=search_term).first()
        return queryset.filter(owner_id=owner.pk) if owner else queryset.none(), False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Photo)
class PhotoAdmin(OfAnOwner):
    list_display = ("id", "caption", "width", "height", "like_count", "comment_count", "created_at")


@admin.register(Comment)
class CommentAdmin(OfAnOwner):
    list_display = ("id", "author_id", "text", "created_at")


@admin.register(Like)
class LikeAdmin(OfAnOwner):
    list_display = ("id", "author_id", "photo_id", "created_at")
