"""The few pages of the way in that allauth has not, or not as strict."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from allauth.account.views import password_change
from allauth.mfa.adapter import get_adapter
from allauth.mfa.utils import is_mfa_enabled
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordResetConfirmView, redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext

from fenqi_server.console.access import entrance, has_second_factor, roles_of

__all__ = ["RemovePasskey", "Start", "change_password", "own"]

V = TypeVar("V", bound=Callable[..., Any])


def own(view: V) -> V:
    """One's own account: its second factors are changed only by a session that has shown one, once there is one.

    Otherwise a session left open from before, with a password alone, could add a second factor of its own.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = cast(User, request.user)
        if not user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if is_mfa_enabled(user) and not has_second_factor(request):
            return redirect_to_login(request.get_full_path(), reverse("mfa_reauthenticate"))
        return cast(HttpResponse, view(request, *args, **kwargs))

    return cast(V, entrance(guarded))


def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's password; the demo's ready people have none."""
    if not request.user.has_usable_password():  # type: ignore[union-attr]  # behind `own`
        raise Http404("an account without a password")
    return cast(HttpResponse, password_change(request))


class RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]  # allauth is untyped
    """Remove a passkey, as long as another second factor stays."""

    def form_valid(self, form: forms.Form) -> HttpResponse:
        adapter = get_adapter()
        if not adapter.can_delete_authenticator(self.get_object()):
            form.add_error(None, adapter.validation_error("cannot_delete_authenticator"))
            return cast(HttpResponse, self.form_invalid(form))
        return cast(HttpResponse, super().form_valid(form))


class Start(PasswordResetConfirmView):
    """The link of `fenqi staff add` and `fenqi staff reset`: once, within a day, it sets a password."""

    template_name = "console/start.html"
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        self.request.session["flash"] = gettext("The password is set. Sign in with it.")
        return answer

    def get_user(self, uidb64: str) -> User | None:
        """A closed account's link opens nothing, nor one whose roles are gone."""
        user = cast("User | None", super().get_user(uidb64))
        return user if user is not None and user.is_active and roles_of(user) else None
