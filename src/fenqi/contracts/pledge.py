"""A pledge while its events are replayed: authorised, then captured or released. Nothing is owed before it is captured."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

__all__ = ["PledgeState", "Pledging"]


class PledgeState(msgspec.Struct, frozen=True, kw_only=True):
    """A pledge on a day: `authorisation` stands until `until` (None: until captured or released)."""

    stage: Literal["agreed", "pledged", "captured", "released"]
    authorisation: str
    until: date | None
    captured_on: date | None
    released_on: date | None


class Pledging:
    """What was authorised, and what became of it."""

    __slots__ = ("authorisation", "captured_on", "released_on", "until")

    def __init__(self) -> None:
        self.authorisation = ""
        self.until: date | None = None
        self.captured_on: date | None = None
        self.released_on: date | None = None

    def copy(self) -> Pledging:
        twin = Pledging()
        for name in Pledging.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    @property
    def stage(self) -> Literal["agreed", "pledged", "captured", "released"]:
        if self.captured_on is not None:
            return "captured"
        if self.released_on is not None:
            return "released"
        return "pledged" if self.authorisation else "agreed"

    def state(self) -> PledgeState:
        return PledgeState(
            stage=self.stage,
            authorisation=self.authorisation,
            until=self.until,
            captured_on=self.captured_on,
            released_on=self.released_on,
        )
