"""`fenqi customer`: what the shop itself lends to one of its customers."""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fenqi.calendars import local_date
from fenqi.money import parse_money
from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of

if TYPE_CHECKING:
    from fenqi_server.shops.models import Shop

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  fenqi customer limit --shop corner --ref u-1001 --limit 20000.00     the shop lends u-1001 at most ¥20,000
  fenqi customer limit --shop corner --ref u-1001                      what is the limit, and what is left of it?
  fenqi customer limit --shop corner --ref u-1001 --unset              as if none had ever been set

The limit is the fact limit.mall of a policy, and what is left of it is limit.mall_available. Where none was set, both
are unknown, and the rule says what that means; 0 means that nothing is lent. Contracts that run keep running.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "customer",
        help="set what the shop itself lends a customer",
        description="Sets and shows what the shop itself lends a customer.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    limit = actions.add_parser(
        "limit",
        help="the shop's own credit line for a customer",
        description="Sets or shows the most that the shop itself lends a customer.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limit.add_argument("--shop", required=True, metavar="CODE", help="whose customer")
    limit.add_argument(
        "--ref", required=True, help="what the shop calls the customer in the API (customer.ref)"
    )
    change = limit.add_mutually_exclusive_group()
    change.add_argument("--limit", metavar="AMOUNT", help="in the shop's currency, such as 20000.00")
    change.add_argument("--unset", action="store_true", help="take the limit away")
    limit.set_defaults(run=run_limit)


def run_limit(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.customers import service as customers
        from fenqi_server.db import in_transaction

        shop = shop_of(arguments.shop)
        ref = _ref(arguments.ref)
        at = clock.now()
        customer_id = customers.find(shop, ref)
        if arguments.limit is not None:
            limit_minor = parse_money(arguments.limit, shop.currency, place="--limit")
            if customer_id is None:
                note(f"{ref} was not known in shop {shop.code} until now.")

            def act() -> UUID:
                found = customers.ensure(shop, ref, at)
                customers.set_limit(shop, found, limit_minor)
                return found

            customer_id = in_transaction(act)
        elif customer_id is None:
            raise BadInput(
                "--ref",
                ref,
                f"a customer of shop {shop.code}",
                "the first evaluation makes one known, and so does --limit",
            )
        elif arguments.unset:
            customers.set_limit(shop, customer_id, None)
        print_json(
            {"shop": shop.code, "ref": ref, **_standing(shop, customer_id, local_date(at, shop.time_zone))}
        )
    return 0


def _ref(given: str) -> str:
    """A name that the API takes as well: any other would be a customer whom no checkout can name."""
    from fenqi_server.api.controllers import MAX_NAME
    from fenqi_server.api.problems import ApiProblem
    from fenqi_server.api.reading import check_text

    try:
        return check_text(given, "--ref", longest=MAX_NAME)
    except ApiProblem as problem:
        found = problem.body.errors[0]
        raise BadInput(found.pointer, found.value, found.expected, found.way_out) from None


def _standing(shop: Shop, customer_id: UUID, on: date) -> dict[str, Any]:
    from fenqi_server.servicing import service as servicing

    standing = servicing.standing(shop, customer_id, on)
    return {
        "currency": shop.currency,
        "limit_minor": standing.limit_minor,
        "exposure_minor": standing.exposure_minor,
        "available_minor": standing.available_minor,
        "overdue": standing.overdue,
    }
