"""What a message needs of a revision, by value: it is told as it was, whatever the policy says by the time it is sent."""

from __future__ import annotations

from typing import Final

import msgspec

from fenqi.texts import Text

__all__ = ["Moved", "Said", "decode_said"]


class Moved(msgspec.Struct, frozen=True):
    """A time that a revision tells otherwise than the one before. Epoch seconds; None is not known."""

    field: str
    before: int | None
    after: int | None


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A revision's words in both languages, its times, and what it is about."""

    announcement: str
    number: int
    kind: str
    state: str
    title: Text
    reason: Text
    affected: Text
    unaffected: Text
    since: int
    until: int | None = None
    next_update: int | None = None
    restored: Text | None = None
    further: tuple[Text, ...] = ()
    """Its purpose, a moved due date, what those affected get, what is better than before: each a line."""
    plans: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    funders: tuple[str, ...] = ()
    sales_channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()


_said: Final = msgspec.json.Decoder(Said).decode  # made with the module: see fenqi.policy.snapshot


def decode_said(text: str) -> Said:
    """A revision as it was kept."""
    return _said(text)
