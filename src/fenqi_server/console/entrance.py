"""The way in: allauth signs people in, and this says how it does so here.

A name and a password open nothing by themselves. Whoever has no second factor yet sets one up first (an authenticator
app or a passkey, with recovery codes beside it); whoever has one is asked for it. A passkey that has checked its owner
(a finger, a face, a PIN) is both factors at once.

Nobody signs up, and no mail resets a password: accounts come from `fenqi staff add`, whose link sets the first password,
and a lost way in is `fenqi staff reset`. What is kept of a second factor is encrypted with the installation's secret.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.forms import ChangePasswordForm, LoginForm, ReauthenticateForm
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm as CodeForm
from allauth.mfa.base.forms import ReauthenticateForm as CodeAgainForm
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.totp.forms import ActivateTOTPForm
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fenqi_server import clock

__all__ = ["SESSION_SECONDS", "AccountAdapter", "SecondFactors", "listen"]

SESSION_SECONDS: Final = 12 * 3600
"""A working day: then one signs in again."""

_TOLD: Final = {
    "account/messages/password_changed.txt": _(
        "Your password is changed. Everywhere else you are signed out."
    ),
    "mfa/messages/totp_activated.txt": _("The authenticator app is set up."),
    "mfa/messages/totp_deactivated.txt": _("The authenticator app is removed."),
    "mfa/messages/webauthn_added.txt": _("The passkey is added."),
    "mfa/messages/webauthn_removed.txt": _("The passkey is removed."),
    "mfa/messages/recovery_codes_generated.txt": _(
        "New recovery codes are made. Keep them where others cannot see them."
    ),
}
"""What allauth's own messages say here; others it has are left unsaid."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """allauth's questions about accounts, answered for staff."""

    error_messages: Final = DefaultAccountAdapter.error_messages | {
        "incorrect_code": _("The code is not right, or was used already."),
        "incorrect_password": _("The password is not right."),
        "enter_current_password": _("This is not your present password."),
        "too_many_login_attempts": _("Too many wrong attempts. Wait five minutes, then try again."),
        "rate_limited": _("Too many attempts. Wait a minute, then try again."),
        "username_password_mismatch": _("The name or the password is not right."),
        "same_as_current": _("The new password has to differ from the present one."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Who signed in a moment ago need not do it again to set up a second factor."""
        records = get_authentication_records(self.request, self.request.user)
        # allauth's records carry the machine's time, whatever a demo's clock says.
        now = clock.system_now().timestamp()
        if records and now - records[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT:
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))

    def logout(self, request: HttpRequest) -> None:
        """In the demo the same browser goes on as the customer it is."""
        from fenqi_server.demo.staff import kept_by_the_shopper

        kept = kept_by_the_shopper(request) if settings.FENQI_DEMO else {}
        super().logout(request)
        for key, value in kept.items():
            request.session[key] = value

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """Said on the next page: what went well in its flash, what did not as an alert."""
        if message:
            request.session["alert"] = str(message)
        elif message_template in _TOLD:
            request.session["flash"] = str(_TOLD[message_template])

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        from django.urls import reverse

        return reverse("mfa_index")


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    """allauth's questions about second factors."""

    error_messages: Final = DefaultMFAAdapter.error_messages | {
        "cannot_delete_authenticator": _("This is your only second factor: add another one first."),
        "incorrect_code": _("The code is not right, or was used already."),
    }

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _cipher().decrypt(encrypted_text.encode("ascii")).decode()
        except InvalidToken:
            # Another secret key than the one it was kept with: no code can be right any more. An empty secret would
            # be a code that anybody can compute.
            raise ValueError(
                "a second factor was kept with another FENQI_SECRET_KEY: bring the old key back, or let its owner "
                "set up a new one after `fenqi staff reset`"
            ) from None

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        others = Authenticator.objects.filter(user_id=authenticator.user_id).exclude(pk=authenticator.pk)
        return bool(others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists())

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return gettext("Passkey %(n)s") % {"n": count + 1}

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Fenqi"}


class _Labelled:
    """A field's label stands above it: in the field it would be said twice, and vanish while one types."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class SignIn(_Labelled, LoginForm):  # type: ignore[misc]  # allauth is untyped
    """Name and password."""


class SignInAgain(_Labelled, ReauthenticateForm):  # type: ignore[misc]  # allauth is untyped
    """The password once more."""


class NewPassword(_Labelled, ChangePasswordForm):  # type: ignore[misc]  # allauth is untyped
    """The present password, and another one."""


class Code(_Labelled, CodeForm):  # type: ignore[misc]  # allauth is untyped
    """A code of the app, or a recovery code."""


class CodeAgain(_Labelled, CodeAgainForm):  # type: ignore[misc]  # allauth is untyped
    """A code once more."""


class FirstCode(_Labelled, ActivateTOTPForm):  # type: ignore[misc]  # allauth is untyped
    """The code that shows that the app has the secret."""


def _cipher() -> Fernet:
    key = HKDF(SHA256(), 32, salt=None, info=b"fenqi second factors").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def listen() -> None:
    """Hear of sign-ins and of new second factors."""
    authenticator_added.connect(_second_factor_was_shown, dispatch_uid="fenqi.console.added")
    user_logged_in.connect(_end_after_a_day, dispatch_uid="fenqi.console.signed_in")


def _second_factor_was_shown(
    sender: object, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any
) -> None:
    """Setting one up takes a right code or a signed challenge: this session has shown it holds the second factor."""
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


def _end_after_a_day(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    request.session.set_expiry(SESSION_SECONDS)
