"""Where somebody wants to be told: checked before anything is written, and never written to a log.

An address has one spelling here: its domain in ASCII and small letters, its local part as it was typed, for only its own
server knows whether capitals matter there. Two that differ only in capitals are one address to us.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from typing import Final, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from fenqi.texts import Text
from fenqi_server.outbox.addresses import RefusedAddress, check_url, resolve

__all__ = ["MAX_LENGTH", "BadAddress", "Channel", "check_address", "digest_of", "masked"]

Channel = Literal["email", "webhook", "sms", "push"]
MAX_LENGTH: Final = 200

_is_email: Final = EmailValidator()
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_DEVICE: Final = re.compile(r"[A-Za-z0-9:._~-]{8,200}")


class BadAddress(ValueError):
    """An address that nothing is sent to. `code` is empty, long, control, form, private, suspended or too_many."""

    def __init__(self, code: str, text: Text) -> None:
        super().__init__(text.en)
        self.code = code
        self.text = text


_EMPTY: Final = Text("请填写地址，例如 name@example.com。", "Write an address, such as name@example.com.")
_LONG: Final = Text(
    f"地址最多 {MAX_LENGTH} 个字符，请缩短或换一个地址。",
    f"An address has at most {MAX_LENGTH} characters: use a shorter one.",
)
_CONTROL: Final = Text(
    "地址含有换行等不可见字符，请重新输入。",
    "The address has a line break or another invisible character in it: type it again.",
)
_FORM: Final = {
    "email": Text(
        "请填写电子邮箱地址，例如 name@example.com。",
        "Write an e-mail address such as name@example.com.",
    ),
    "sms": Text(
        "请填写带国家代码的手机号，例如 +8613800000000。",
        "Write a phone number with its country code, such as +8613800000000.",
    ),
    "push": Text("设备标识无法识别。", "This is no device that can be written to."),
}


def check_address(channel: Channel, text: str) -> str:
    """The address in its one spelling. Raises `BadAddress`; a webhook's name is looked up for that.

    >>> check_address("email", " Ann@Example.COM ")
    'Ann@example.com'
    """
    found = text.strip()
    if not found:
        raise BadAddress("empty", _EMPTY)
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in found):
        raise BadAddress("control", _CONTROL)
    if channel == "webhook":
        return _check_webhook(found)
    if len(found) > MAX_LENGTH:
        raise BadAddress("long", _LONG)
    if channel == "email":
        return _check_email(found)
    if not (_PHONE if channel == "sms" else _DEVICE).fullmatch(found):
        raise BadAddress("form", _FORM[channel])
    return found


def _check_email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    try:
        # Only what goes through every mail server: no quoted local part, no letters beyond ASCII in it.
        if not _LOCAL_PART.fullmatch(local) or len(local) > 64 or domain.startswith("["):
            raise ValidationError("local part")
        _is_email(text)
        ascii_domain = domain.encode("idna").decode("ascii").lower()
        found = f"{local}@{ascii_domain}"
        _is_email(found)
    except (ValidationError, UnicodeError):
        raise BadAddress("form", _FORM["email"]) from None
    if len(found) > MAX_LENGTH:
        raise BadAddress("long", _LONG)
    return found


def _check_webhook(url: str) -> str:
    loopback = bool(settings.FENQI_WEBHOOK_ALLOW_LOOPBACK)
    try:
        resolve(check_url(url, allow_loopback=loopback), allow_loopback=loopback)
    except RefusedAddress as refused:
        raise BadAddress(
            "private",
            Text(
                f"不能向此地址发送：须为 https:// 开头、可在公网解析的地址（{refused}）。",
                f"Nothing can be sent there: {refused}. Give an https:// address of the open internet.",
            ),
        ) from None
    return url


def digest_of(address: str) -> bytes:
    """What stands for an address where the address itself must not stand."""
    key = hmac.digest(settings.SECRET_KEY.encode(), b"fenqi/1/address", "sha256")
    return hmac.digest(key, address.lower().encode(), "sha256")


def masked(address: str) -> str:
    """Enough of an address for its owner to know it again.

    >>> masked("chen.jing@example.com"), masked("+8613800000000")
    ('c…g@example.com', '+8…00')
    """
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[0]}…{local[-1]}@{domain}" if len(local) > 2 else f"…@{domain}"
    if address.startswith(("http://", "https://")):
        return "/".join(address.split("/")[:3]) + "/…"
    return f"{address[:2]}…{address[-2:]}"
