"""Django's settings. Everything that differs between installations comes from the environment.

| Variable | Meaning |
|---|---|
| `FENQI_DATABASE_URL` | the service's role: reads and adds, no DDL. The CLI fills it in from the embedded database |
| `FENQI_SECRET_KEY` | signs sessions and CSRF tokens |
| `FENQI_SIGNING_KEYS` | `id:hex,id:hex`: the first signs quotes, links and webhooks, every one verifies |
| `FENQI_ORIGIN` | the public origin, e.g. `https://pay.example.com`. https switches on HSTS and secure cookies |
| `FENQI_HOSTS` | further host names to answer to, separated by commas |
| `FENQI_PROXIES` | how many proxies stand in front (1 where the origin is https, else 0): whose `X-Forwarded-For` is believed |
| `FENQI_STATIC_ROOT` | where collected static files lie |
| `FENQI_SMTP_URL` | the mail server, such as `smtp://user:password@mail.example.com:587`; empty: no mail is sent or offered |
| `FENQI_MAIL_FROM` | the address that mails come from; default `no-reply@` and the origin's host |
| `FENQI_NOTIFY_PER_MINUTE` | messages a shop sends a minute at most (600), so that those who are told do not come all at once |
| `FENQI_NOTIFY_LEASE_SECONDS` | how long a worker holds messages that it sends (120); a killed worker's come back after it |
| `FENQI_SMS_PORT`, `FENQI_PUSH_PORT` | a class of yours that sends text messages or pushes: see docs/notifications.md |
| `FENQI_SUPPORT_MAIL` | the address that customers answer to, e.g. `support@mall.example`; its gateway posts to `/v1/inbound-mail` |
| `FENQI_CLEARING_LIMIT_MINOR` | the most, in minor units, that one person clears alone in a reconciliation (10000, which is ¥100) |
| `FENQI_CONCESSION_LIMIT_MINOR` | the most, in minor units, that one person gives away of a contract, or in a day sends out of it or of money that named no contract, takes back or charges alone (50000, which is ¥500) |
| `FENQI_PDF_FONT` | a TrueType font with Chinese glyphs, embedded in printed tables of costs; default: named, not embedded |
| `FENQI_POLICY_KEY` | the file of a private key (`fenqi policy key`) that signs each policy as it is published, for `/v1/policy/snapshot` |
| `FENQI_FUNDERS` | a JSON file: how each shop's funders are reached, see docs/causes.md |
| `FENQI_AUTOPAY_COLLECTOR` | a class of yours that collects automatic payments; empty: by webhook, see docs/servicing.md |
| `FENQI_DEMO` | `1`: the demo mall, its pretend funders and its own clock |

No secret has a default: `fenqi serve` and `fenqi demo` generate them into `.fenqi/keys.json`, readable by their owner alone.
"""

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from fenqi_server.database import django_database


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set; start through `fenqi serve` or `fenqi demo`, or set it."
        )
    return value


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not re.fullmatch(r"[0-9]{1,8}", text) or int(text) < 1:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least 1, such as {default}.")
    return int(text)


def _signing_keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for pair in text.split(","):
        key_id, _, secret = pair.strip().partition(":")
        try:
            key = bytes.fromhex(secret)
        except ValueError:
            key = b""
        # The id stands between dots in what it signs; an id that is there twice would leave one key out.
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", key_id) or key_id in keys or len(key) < 32:
            raise ImproperlyConfigured(
                "FENQI_SIGNING_KEYS must be id:hex pairs: ids of letters, digits, _ and -, each once, "
                "and keys of at least 32 bytes (64 hex digits)."
            )
        keys[key_id] = key
    return keys


def _count(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]", text):
        raise ImproperlyConfigured(f"{name} is {text!r}; expected a number from 0 to 9.")
    return int(text)


def _policy_key(file: str) -> bytes | None:
    """The key that signs policies. A file that cannot be right stops the start, not a publication."""
    if not file:
        return None
    from fenqi.policy.signing import BadKey, public_key

    try:
        key = Path(file).read_bytes()
        public_key(key)
    except (OSError, BadKey) as error:
        raise ImproperlyConfigured(
            f"FENQI_POLICY_KEY {file}: {error}. Make one with `fenqi policy key`."
        ) from None
    return key


def _funders(file: str) -> dict[str, dict[str, dict[str, object]]]:
    """The funders' addresses and keys by shop; a file that cannot be right stops the start, not a checkout."""
    if not file:
        return {}
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
        for shop, funders in found.items():
            for funder, one in funders.items():
                if urlsplit(one["url"]).scheme not in (
                    ("https", "http") if one.get("private") else ("https",)
                ):
                    raise ValueError(f"{shop}.{funder}.url is {one['url']}: it must begin with https://")
                if not one["key"] or set(one) - {"url", "key", "timeout_seconds", "private", "probe_seconds"}:
                    raise ValueError(
                        f"{shop}.{funder} has {', '.join(one)}: expected url, key, timeout_seconds, private, probe_seconds"
                    )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"FENQI_FUNDERS {file}: {error}. "
            'It holds {"<shop>": {"<funder>": {"url": "https://...", "key": "..."}}}; see docs/causes.md.'
        ) from None
    return found


PACKAGE = Path(__file__).resolve().parent

SECRET_KEY = _required("FENQI_SECRET_KEY")
# dicts keep their order: the first key signs, all of them verify, so that a key can be retired without a gap.
FENQI_SIGNING_KEYS = _signing_keys(_required("FENQI_SIGNING_KEYS"))
FENQI_SIGNING_KEY_ID = next(iter(FENQI_SIGNING_KEYS))
FENQI_DEMO = os.environ.get("FENQI_DEMO", "") == "1"
# A demo may send webhooks to a program on the same machine; an installation never does.
FENQI_WEBHOOK_ALLOW_LOOPBACK = FENQI_DEMO
FENQI_SMTP_URL = os.environ.get("FENQI_SMTP_URL", "")
FENQI_MAIL_FROM = os.environ.get("FENQI_MAIL_FROM", "")
FENQI_SMS_PORT = os.environ.get("FENQI_SMS_PORT", "")
FENQI_PUSH_PORT = os.environ.get("FENQI_PUSH_PORT", "")
FENQI_AUTOPAY_COLLECTOR = os.environ.get(
    "FENQI_AUTOPAY_COLLECTOR", "fenqi_server.autopay.pretend.PretendCollector" if FENQI_DEMO else ""
)
FENQI_NOTIFY_PER_MINUTE = _whole("FENQI_NOTIFY_PER_MINUTE", 600)
FENQI_NOTIFY_LEASE_SECONDS = _whole("FENQI_NOTIFY_LEASE_SECONDS", 120)
FENQI_CLEARING_LIMIT_MINOR = _whole("FENQI_CLEARING_LIMIT_MINOR", 10_000)
FENQI_CONCESSION_LIMIT_MINOR = _whole("FENQI_CONCESSION_LIMIT_MINOR", 50_000)
FENQI_SUPPORT_MAIL = os.environ.get("FENQI_SUPPORT_MAIL", "support@mall.example" if FENQI_DEMO else "")
FENQI_ORIGIN = os.environ.get("FENQI_ORIGIN", "http://127.0.0.1:8000").rstrip("/")

FENQI_PDF_FONT = os.environ.get("FENQI_PDF_FONT", "")
FENQI_POLICY_KEY = _policy_key(os.environ.get("FENQI_POLICY_KEY", ""))
FENQI_FUNDERS = _funders(os.environ.get("FENQI_FUNDERS", ""))

DEBUG = False
_origin = urlsplit(FENQI_ORIGIN)
_https = _origin.scheme == "https"
ALLOWED_HOSTS = [
    host
    for host in (_origin.hostname, "127.0.0.1", "localhost", *os.environ.get("FENQI_HOSTS", "").split(","))
    if host
]
CSRF_TRUSTED_ORIGINS = [FENQI_ORIGIN] if _https else []

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "fenqi_server.api",
    "fenqi_server.shops",
    "fenqi_server.customers",
    "fenqi_server.policies",
    "fenqi_server.decisions",
    "fenqi_server.servicing",
    "fenqi_server.autopay",
    "fenqi_server.reminders",
    "fenqi_server.disclosures",
    "fenqi_server.books",
    "fenqi_server.reconciliation",
    "fenqi_server.outbox",
    "fenqi_server.funders",
    "fenqi_server.budgets",
    "fenqi_server.announcements",
    "fenqi_server.subscriptions",
    "fenqi_server.support",
    "fenqi_server.console",
    "fenqi_server.storefront",
    "fenqi_server.portal",
    "fenqi_server.demo",
]

MIDDLEWARE = [
    "fenqi_server.headers.SecurityHeadersMiddleware",
    "fenqi_server.nul.NoNulMiddleware",
    "fenqi_server.policies.service.OneViewMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # API calls go no further: sessions, languages and CSRF are a browser's matters.
    "fenqi_server.api.light.ApiMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # Last: it refuses the view itself, whatever those before made of the request.
    "fenqi_server.console.access.ConsoleGuard",
]

# The staff's way in: see fenqi_server.console.entrance.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "/console/sign-in/"
LOGIN_REDIRECT_URL = "/console/"
ACCOUNT_ADAPTER = "fenqi_server.console.entrance.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "fenqi_server.console.entrance.SignIn",
    "reauthenticate": "fenqi_server.console.entrance.SignInAgain",
    "change_password": "fenqi_server.console.entrance.NewPassword",
}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # there is no sign-up; it asks for no address
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/console/sign-in/"
ACCOUNT_SESSION_REMEMBER = True  # the session's end is set by fenqi_server.console.entrance, not asked for
ACCOUNT_SESSION_COOKIE_AGE = 12 * 3600
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
}
MFA_ADAPTER = "fenqi_server.console.entrance.SecondFactors"
MFA_FORMS = {
    "authenticate": "fenqi_server.console.entrance.Code",
    "reauthenticate": "fenqi_server.console.entrance.CodeAgain",
    "activate_totp": "fenqi_server.console.entrance.FirstCode",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Fenqi"
# A browser lets http use passkeys on localhost alone.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _https
# How many proxies of one's own stand in front: the address that tries are counted by is what the outermost one saw.
ALLAUTH_TRUSTED_PROXY_COUNT = _count("FENQI_PROXIES", 1 if _https else 0)
PASSWORD_RESET_TIMEOUT = 24 * 3600  # the link of `fenqi staff add`

ROOT_URLCONF = "fenqi_server.urls"
WSGI_APPLICATION = "fenqi_server.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
            ],
        },
    },
]

# A migration runs in a process of its own, whose FENQI_DATABASE_URL is the owner's: the service never holds
# the owner's password.
DATABASES = {"default": django_database(_required("FENQI_DATABASE_URL"))}
# Counts of tries at the sign-in: kept where every process sees them.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "console_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "zh-hans"  # pages say lang="zh-CN"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LANGUAGE_COOKIE_NAME = "fenqi_language"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [PACKAGE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"  # a shop's own zone is data; pages convert to it by name

STATIC_URL = "/static/"
STATICFILES_DIRS = [PACKAGE / "static"]
STATIC_ROOT = Path(os.environ.get("FENQI_STATIC_ROOT", ".fenqi/static")).resolve()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Hashed names are cached for ever; gzip is made once, when collected.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = False

# Sessions live in the database, so that one can be ended from the server's side.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "fenqi_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_NAME = "fenqi_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = _https

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = False  # TLS ends at the proxy in front, which redirects
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
X_FRAME_OPTIONS = "DENY"

DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# What the background worker runs, in this order, every round. Each is `fn(now) -> int`: how many it did.
FENQI_JOBS = [
    # Before the first day of the next month is closed: what came due since would have to be thought away.
    "fenqi_server.servicing.month_end.run_due",
    "fenqi_server.servicing.closing.run_due",
    "fenqi_server.autopay.attempts.act_due",
    "fenqi_server.books.settlement.run_settlements",
    "fenqi_server.books.sealing.seal_due",
    "fenqi_server.books.periods.finish_due",
    "fenqi_server.books.proofs.prove_due",
    "fenqi_server.funders.health.probe_due",
    "fenqi_server.funders.handoffs.deliver_due",
    "fenqi_server.funders.handoffs.query_due",
    "fenqi_server.announcements.repayment.move_due",
    "fenqi_server.announcements.recovery.run_due",
    "fenqi_server.announcements.alarms.raise_overdue",
    "fenqi_server.announcements.compensation.issue_due",
    "fenqi_server.subscriptions.fanout.expire_due",
    "fenqi_server.subscriptions.fanout.expand_due",
    "fenqi_server.budgets.service.reclaim_due",
    "fenqi_server.funders.agreements.warn_due",
    "fenqi_server.subscriptions.wishes.fulfil_due",
    "fenqi_server.subscriptions.queue.deliver_due",
    "fenqi_server.reminders.sending.send_due",
    "fenqi_server.support.mailing.send_due",
    "fenqi_server.outbox.service.deliver_due",
    "fenqi_server.decisions.log.write_due",
    "fenqi_server.portal.entry.forget_due",
]
if FENQI_DEMO:
    # Before whoever waits is told: an answer may be what they wait for.
    FENQI_JOBS.insert(8, "fenqi_server.demo.jobs.answer_assessments")

# Never a body, a header, a query string or a value of a failed statement: they carry what belongs to a customer.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "fenqi_server.headers.WithoutValues",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "filters": {"path_only": {"()": "fenqi_server.headers.PathOnly"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["path_only"]},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "fenqi_server": {"level": "INFO"},
        # A traceback's frames would print local variables only in Django's own mail; none is sent.
        "django": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
