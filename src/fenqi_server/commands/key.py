"""`fenqi key`: what a shop's server presents to be let in."""

from __future__ import annotations

import argparse
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fenqi.calendars import at_local
from fenqi.problems import BadInput
from fenqi_server.commands.shop import local_text, shop_of, text_of
from fenqi_server.days import read_day
from fenqi_server.shops.scopes import GIVEN_BY_NAME, SCOPES

if TYPE_CHECKING:
    from fenqi_server.shops.models import ApiKey, Shop

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi key add --shop corner --label "checkout server"
  fenqi key add --shop corner --label reports --scopes contracts:read hand_offs:read --expires 2027-11-30
  fenqi key add --shop corner-live --label "checkout server" --live
  fenqi key add --shop corner --label "ann's own" --held-by ann
  KEY=$(fenqi key add --shop corner --label "checkout server" | jq -r .key)
  fenqi key list --shop corner
  fenqi key revoke 019ab1c2-6f00-7c3e-9d51-0e2f7a6b4c8d

The key is shown once; only its hash is kept. What is done with a key that somebody holds (--held-by), they do themselves: they
do not agree to what they asked for with it.

"""


def _scopes_told() -> str:
    usual = ", ".join(scope for scope in SCOPES if scope not in GIVEN_BY_NAME)
    by_name = ", ".join(scope for scope in SCOPES if scope in GIVEN_BY_NAME)
    told = f"Scopes: {usual} (without --scopes: all of these); and, only where named: {by_name}."
    return textwrap.fill(told, 110, break_on_hyphens=False) + "\n"


MAX_LABEL = 80  # what the database keeps of a label


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "key",
        help="make, list and revoke API keys",
        description="Makes, lists and revokes the keys with which a shop's server calls the API.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add",
        help="make a key; it is shown this once",
        description="Makes a key and shows it this once.",
        epilog=_EXAMPLES + _scopes_told(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add.add_argument("--shop", required=True, metavar="CODE", help="whose key")
    add.add_argument("--label", required=True, help="what it is for, to tell keys apart")
    add.add_argument(
        "--scopes", nargs="+", metavar="SCOPE", help="what it may do (all but what is only given by name)"
    )
    add.add_argument("--live", action="store_true", help="say so for a live shop's key")
    add.add_argument("--expires", metavar="DATE", help="the last day on which it opens, in the shop's zone")
    add.add_argument(
        "--held-by", metavar="NAME", help="who of the shop's staff uses it themselves (its server does)"
    )
    add.set_defaults(run=run_add)
    listing = actions.add_parser(
        "list",
        help="keys, without the keys themselves",
        description="Lists keys: what they are for, what they may do, when they were last used.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--shop", metavar="CODE", help="of this shop alone")
    listing.set_defaults(run=run_list)
    revoke = actions.add_parser(
        "revoke",
        help="let a key open nothing any more",
        description="Revokes a key, for good.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    revoke.add_argument("id", metavar="ID", help="the key's id, as `fenqi key list` shows it")
    revoke.set_defaults(run=run_revoke)


def run_add(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    label = text_of(arguments.label, "--label", longest=MAX_LABEL)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.ids import uuid7
        from fenqi_server.shops import service as shops
        from fenqi_server.shops.models import ApiKey

        shop = shop_of(arguments.shop)
        _check_kind(shop, live=arguments.live)
        usual = [scope for scope in SCOPES if scope not in GIVEN_BY_NAME]
        scopes = tuple(dict.fromkeys(arguments.scopes or usual))
        for scope in scopes:
            if scope not in SCOPES:
                raise BadInput("--scopes", scope, "one of " + ", ".join(SCOPES))
        at = clock.now()
        expires_at = None if arguments.expires is None else _end_of(arguments.expires, shop, at)
        key_id = uuid7(at)
        held_by = "" if arguments.held_by is None else _member(arguments.held_by, shop)
        key = shops.create_key(
            shop, label, at=at, scopes=scopes, expires_at=expires_at, held_by=held_by, id=key_id
        )
        print_json({"key": key, **_shown(ApiKey.objects.select_related("shop").get(id=key_id))})
    note("Keep the key now: it is not shown again.")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.shops.models import ApiKey

        keys = ApiKey.objects.select_related("shop").order_by("created_at", "id")
        if arguments.shop is not None:
            keys = keys.filter(shop=shop_of(arguments.shop))
        print_json({"keys": [_shown(key) for key in keys]})
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    way_out = "`fenqi key list` shows them; it is not the key itself"
    try:
        key_id = UUID(arguments.id)
    except ValueError:
        # What was typed may be the key: it is not repeated into a terminal's record.
        raise BadInput("ID", "something else", "a key's id", way_out) from None
    with open_service():
        from fenqi_server import clock
        from fenqi_server.shops import service as shops
        from fenqi_server.shops.models import ApiKey

        keys = ApiKey.objects.select_related("shop").filter(id=key_id)
        if not keys:
            raise BadInput("ID", arguments.id, "the id of a key", way_out)
        shops.revoke_key(key_id, clock.now())
        print_json(_shown(keys.get()))
        note(f"A service that runs lets it in for {shops.CACHE_SECONDS:g} s more at most.")
    return 0


def _member(name: str, shop: Shop) -> str:
    """The name of somebody who works in the shop."""
    from fenqi_server.console import people

    known = [member.username for member in people.members(shop)]
    if name not in known:
        expected = f"one of {', '.join(known[:20])}" if known else "somebody who works in the shop"
        raise BadInput("--held-by", name, expected, "`fenqi staff list` shows them")
    return name


def _check_kind(shop: Shop, *, live: bool) -> None:
    if live and not shop.live:
        raise BadInput(
            "--live",
            "given",
            f"no --live, as {shop.code} is a test shop",
            "`fenqi shop add CODE --live` makes a live shop beside it",
        )
    if shop.live and not live:
        raise BadInput(
            "--live", "missing", f"--live, as {shop.code} is a live shop", "to try things, name a test shop"
        )


def _end_of(given: str, shop: Shop, at: datetime) -> datetime:
    """The end of the day `given`, in the shop's zone."""
    try:
        on = read_day(given)
        ends_at = datetime.fromtimestamp(at_local(on + timedelta(days=1), 0, shop.time_zone), UTC)
    except (ValueError, OverflowError):
        raise BadInput("--expires", given, "a date such as 2027-11-30") from None
    if ends_at <= at:
        raise BadInput("--expires", given, "today or a later day")
    return ends_at


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.id),
        "shop": key.shop.code,
        "live": key.shop.live,
        "label": key.label,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "held_by": key.held_by or None,
        "created_at": local_text(key.created_at, key.shop),
        "expires_at": local_text(key.expires_at, key.shop),
        "revoked_at": local_text(key.revoked_at, key.shop),
        "last_used_at": local_text(key.last_used_at, key.shop),
    }
