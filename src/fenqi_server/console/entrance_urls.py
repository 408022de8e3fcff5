"""The sign-in's addresses, under the names by which allauth finds them.

Of allauth's views only these are open: there is no sign-up, no reset by e-mail and no sign-in by a mailed code. Whoever
lost the way in asks for `fenqi staff reset`.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import path

from fenqi_server.console.access import entrance
from fenqi_server.console.entrance_views import RemovePasskey, Start, change_password, own

urlpatterns = [
    path("start/<uidb64>/<token>/", entrance(Start.as_view()), name="console_start"),
    path("sign-in/", entrance(account.login), name="account_login"),
    path("sign-in/passkey/", entrance(webauthn.login_webauthn), name="mfa_login_webauthn"),
    path("sign-in/second/", entrance(mfa.authenticate), name="mfa_authenticate"),
    path("sign-in/again/", entrance(account.reauthenticate), name="account_reauthenticate"),
    path("sign-in/again/code/", entrance(mfa.reauthenticate), name="mfa_reauthenticate"),
    path(
        "sign-in/again/passkey/",
        entrance(webauthn.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("sign-in/inactive/", entrance(account.account_inactive), name="account_inactive"),
    path("sign-out/", entrance(account.logout), name="account_logout"),
    path("me/", own(mfa.index), name="mfa_index"),
    path("me/password/", own(change_password), name="account_change_password"),
    path("me/app/", own(totp.activate_totp), name="mfa_activate_totp"),
    path("me/app/remove/", own(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("me/passkeys/", own(webauthn.list_webauthn), name="mfa_list_webauthn"),
    path("me/passkeys/add/", own(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("me/passkeys/<int:pk>/name/", own(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
    path("me/passkeys/<int:pk>/remove/", own(RemovePasskey.as_view()), name="mfa_remove_webauthn"),
    path("me/codes/", own(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("me/codes/new/", own(recovery_codes.generate_recovery_codes), name="mfa_generate_recovery_codes"),
    path(
        "me/codes/download/",
        own(recovery_codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
]
