from __future__ import annotations

from django.urls import path
from shop import views

urlpatterns = [path("buy/<name>", views.buy), path("fail/<name>", views.fail)]
