"""What the shop's own bookkeeping calls the accounts of this book: codes and names, in versions.

A change is a new version beside the old one, so that an export of last year can be made again as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from django.db import connection

from fenqi.ledger.accounts import CHART, Account
from fenqi.problems import BadInput
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop

__all__ = ["Mapped", "Unmapped", "account_of", "map_account", "mapping", "require", "versions"]

MAX_CODE: Final = 40
MAX_NAME: Final = 80


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """One account in the shop's own words, from `at` on."""

    account: int
    version: int
    code: str
    name: str
    actor: str
    at: datetime


class Unmapped(BadInput):
    """Something is booked on accounts for which the shop's own ones are not known."""

    default_way_out = "name them on the console's page of accounts, or with `fenqi books map`"

    def __init__(self, accounts: Iterable[int]) -> None:
        self.accounts = tuple(sorted(accounts))
        names = ", ".join(f"{code} {CHART[code].name}" for code in self.accounts)
        super().__init__("mapping", f"without {names}", "an account of the shop's own for each that is used")


_COLUMNS: Final = ", ".join(Mapped.__struct_fields__)


def account_of(text: str, place: str = "account") -> Account:
    """An account of the chart, by its code or its name. Raises `fenqi.problems.BadInput`.

    >>> account_of("in_transit").code, account_of("1020").name
    (1020, 'in_transit')
    """
    for account in CHART.values():
        if text in (account.name, str(account.code)):
            return account
    raise BadInput(place, text, "an account of the chart, by its code or name, such as 1020 or in_transit")


def mapping(shop: Shop, *, at: datetime | None = None) -> dict[int, Mapped]:
    """The shop's own accounts by ours, as they are now or were at an instant."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT ON (account) {_COLUMNS} FROM books_mapping"
            " WHERE shop_id = %s AND at <= coalesce(%s, 'infinity'::timestamptz) ORDER BY account, version DESC",
            [shop.id, at],
        )
        names = Mapped.__struct_fields__
        found = (Mapped(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())
        return {each.account: each for each in found}


def versions(shop: Shop, account: int) -> tuple[Mapped, ...]:
    """Every version of one account's, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM books_mapping WHERE shop_id = %s AND account = %s ORDER BY version DESC",
            [shop.id, account],
        )
        names = Mapped.__struct_fields__
        return tuple(Mapped(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())


def map_account(shop: Shop, account: int, code: str, name: str, actor: str, at: datetime) -> Mapped:
    """Call an account `code` and `name` from now on. Saying what is said already is no new version.

    Raises `fenqi.problems.BadInput` where the chart has no such account, or a word cannot be one.
    """
    known = account_of(str(account))
    code, name = _words(code, "code", MAX_CODE), _words(name, "name", MAX_NAME)

    def act() -> Mapped:
        # Changes of a shop's mapping wait here for each other, so that no version is said twice.
        audit.hold(shop)
        before = mapping(shop).get(account)
        if before is not None and (before.code, before.name) == (code, name):
            return before
        made = Mapped(
            account=account,
            version=before.version + 1 if before else 1,
            code=code,
            name=name,
            actor=actor,
            at=at,
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO books_mapping (shop_id, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [shop.id, *msgspec.structs.astuple(made)],
            )
        audit.record(
            shop,
            actor,
            "books.map",
            f"account:{known.name}",
            at,
            before={"code": before.code, "name": before.name} if before else None,
            after={"code": code, "name": name},
        )
        return made

    return in_transaction(act)


def require(mapped: dict[int, Mapped], accounts: Iterable[int]) -> None:
    """That each of these accounts is mapped. Raises `Unmapped`, which names those that are not."""
    missing = set(accounts) - mapped.keys()
    if missing:
        raise Unmapped(missing)


def _words(text: str, place: str, longest: int) -> str:
    text = text.strip()
    if not 1 <= len(text) <= longest or not text.isprintable():
        raise BadInput(place, text, f"1 to {longest} characters on one line")
    return text
