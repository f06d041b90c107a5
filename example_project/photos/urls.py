from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, re_path, register_converter

from .converters import IdConverter
from .views import accounts, api, home, media, people, photos

register_converter(IdConverter, "id")

urlpatterns = [
    path("", home.home, name="home"),
    path("explore/", home.explore, name="explore"),
    path("join/", accounts.sign_up, name="signup"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("settings/", accounts.edit_profile, name="edit_profile"),
    path("photos/new/", photos.upload, name="upload"),
    path("photos/<id:photo_id>/", photos.photo, name="photo"),
    path("photos/<id:photo_id>/like/", photos.like, name="like"),
    path("photos/<id:photo_id>/comment/", photos.comment, name="comment"),
    path(
        "photos/<id:photo_id>/comments/<id:comment_id>/delete/",
        photos.delete_comment,
        name="delete_comment",
    ),
    path("photos/<id:photo_id>/delete/", photos.delete, name="delete"),
    path("photos/<id:photo_id>/thumbnail/", photos.thumbnail, name="thumbnail"),
    path("@<slug:username>/", people.profile, name="profile"),
    path("@<slug:username>/follow/", people.follow, name="follow"),
    path("@<slug:username>/followers/", people.followers, name="followers"),
    path("@<slug:username>/following/", people.following, name="following"),
    # For mobile clients.
    path("users/<id:user_id>", api.user, name="api_user"),
    path("users/<id:user_id>/", api.user),
    path("users/<path:anything>", api.unknown),
    re_path(
        r"^media/(?P<name>(?:photos|thumbnails|avatars)/[0-9a-f]{2}/[0-9a-f]{32}\.jpg)$",
        media.serve,
    ),
]
