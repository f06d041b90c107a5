from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from example_project.photos.forms import ProfileForm, SignUpForm
from example_project.photos.people import profile_of

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@sensitive_post_parameters("password")
def sign_up(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and (user := form.save()):
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        messages.success(request, "Welcome to Sunprint. Follow a few people to fill your feed.")
        return redirect("home")
    return render(request, "photos/signup.html", {"form": form})


@login_required
def edit_profile(request: HttpRequest) -> HttpResponse:
    profile = profile_of(request.user)
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ProfileForm(*sent, instance=profile)
    if form.is_valid():
        form.save()
        messages.success(request, "Your profile has been saved.")
        return redirect("profile", request.user.get_username())
    return render(request, "photos/edit_profile.html", {"form": form})
