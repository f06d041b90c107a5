"""What the staff can look at; photos, likes and comments are found by the user they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

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


class ByOwner(admin.ModelAdmin):
    """Rows of one owner, and so of one shard; they are changed on the site, not here."""

    search_fields = ("owner_id",)
    search_help_text = "User name of the person whose photos these are"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        is_list = request.resolver_match.url_name.endswith("_changelist")
        return self.model.objects.none() if is_list else self.model.objects.all()

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet,
        search_term: str,
    ) -> tuple[QuerySet, bool]:
        owner = people.members().filter(username=search_term).first() if search_term else None
        if owner is None:
            return queryset, False
        return self.model.objects.filter(owner_id=owner.pk), False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Photo)
class PhotoAdmin(ByOwner):
    list_display = ("id", "caption", "width", "height", "like_count", "comment_count", "created_at")


@admin.register(Comment)
class CommentAdmin(ByOwner):
    list_display = ("id", "author_id", "text", "created_at")


@admin.register(Like)
class LikeAdmin(ByOwner):
    list_display = ("id", "author_id", "photo_id", "created_at")
