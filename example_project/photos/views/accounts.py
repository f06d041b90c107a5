from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from ..forms import ProfileForm, SignUpForm
from ..people import forget_cards, profile_of


@sensitive_post_parameters("password")
def sign_up(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST or None)
    if form.is_valid() and (user := form.save()):
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        messages.success(request, "Welcome to Sunprint. Follow a few people to fill your feed.")
        return redirect("home")
    return render(request, "photos/signup.html", {"form": form})


@login_required
def edit_profile(request: HttpRequest) -> HttpResponse:
    profile = profile_of(request.user)
    form = ProfileForm(request.POST or None, request.FILES or None, instance=profile)
    if form.is_valid():
        form.save()
        forget_cards(request.user.pk)
        messages.success(request, "Your profile has been saved.")
        return redirect("profile", request.user.get_username())
    return render(request, "photos/edit_profile.html", {"form": form})
