from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction

from . import images
from .models import CAPTION_LENGTH, COMMENT_LENGTH, Profile

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser as User

    from .images import CleanImage

AVATAR_SIDE = 512
USERNAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9_]*\Z", "Use small letters, digits and _ only, and begin with no _."
)
TAKEN = "This username is taken."


class SignUpForm(forms.Form):
    username = forms.CharField(
        label="Username",
        min_length=3,
        max_length=30,
        validators=[USERNAME],
        help_text="Small letters, digits and _.",
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    name = forms.CharField(
        label="Your name", max_length=60, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        max_length=128,
        strip=False,
        help_text="At least 8 characters.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_username(self) -> str:
        username = self.cleaned_data["username"]
        if get_user_model().objects.filter(username__iexact=username).exists():
            raise ValidationError(TAKEN, code="taken")
        return username

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "username" in data and "password" in data:
            someone = get_user_model()(username=data["username"], first_name=data.get("name", ""))
            try:
                validate_password(data["password"], someone)
            except ValidationError as error:
                self.add_error("password", error)
        return data

    def save(self) -> User | None:
        """Return the new member; None, and an error in the form, if the name was taken meanwhile."""
        data = self.cleaned_data
        try:
            with transaction.atomic():
                user = get_user_model().objects.create_user(
                    data["username"], password=data["password"]
                )
                Profile.objects.create(user=user, name=data["name"])
        except IntegrityError:
            self.add_error("username", TAKEN)
            return None
        return user


class ImageField(forms.FileField):
    """An upload that has been read, checked and written anew before anything is stored."""

    widget = forms.FileInput

    def __init__(self, *, max_side: int | None = None, **kwargs: Any) -> None:
        self.max_side = max_side
        super().__init__(**kwargs, allow_empty_file=True)  # images.clean_upload says it better

    def clean(self, data: Any, initial: Any = None) -> CleanImage | None:
        upload = super().clean(data, initial)
        return images.clean_upload(upload, self.max_side) if upload else None

    def widget_attrs(self, widget: forms.Widget) -> dict[str, str]:  # noqa: ARG002
        return {"accept": "image/jpeg,image/png,image/webp"}


class UploadForm(forms.Form):
    image = ImageField(
        label="Photo",
        error_messages={"required": "Please choose a photo."},
        help_text="JPEG, PNG or WebP, up to 12 MB. Where it was taken is removed.",
    )
    caption = forms.CharField(
        required=False,
        max_length=CAPTION_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    alt = forms.CharField(
        label="Description",
        required=False,
        max_length=CAPTION_LENGTH,
        help_text="For people who cannot see it: what is in the photo?",
    )


class CommentForm(forms.Form):
    text = forms.CharField(
        label="Comment",
        max_length=COMMENT_LENGTH,
        error_messages={"required": "Please write something first."},
        widget=forms.TextInput(attrs={"placeholder": "Add a comment", "autocomplete": "off"}),
    )


class ProfileForm(forms.ModelForm):
    photo = ImageField(
        label="Portrait", required=False, max_side=AVATAR_SIDE, help_text="Shown as a circle."
    )

    class Meta:
        model = Profile
        fields = ("name", "bio")
        labels = {"name": "Your name", "bio": "About you"}
        widgets = {"bio": forms.Textarea(attrs={"rows": 3})}

    def save(self, commit: bool = True) -> Profile:
        profile, portrait = self.instance, self.cleaned_data["photo"]
        if portrait:
            old = profile.avatar.name
            profile.avatar.save(
                "avatar.jpg", images.make_thumbnail(portrait.content, AVATAR_SIDE), save=False
            )
            if old:
                transaction.on_commit(lambda: profile.avatar.storage.delete(old))
        return super().save(commit)
