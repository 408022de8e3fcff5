"""`fenqi staff`: who works in the console, and what they may do there."""

from __future__ import annotations

import argparse
import os
import pwd
from typing import TYPE_CHECKING, Any

from fenqi.policy.snapshot import LAYERS
from fenqi.problems import BadInput
from fenqi_server.commands.shop import local_text, shop_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from fenqi_server.console.people import Member
    from fenqi_server.shops.models import Shop

__all__ = ["add_parser", "cli_actor"]

_EXAMPLES = """\
examples:
  fenqi staff add ann --shop corner --role author publisher      her link sets a password, once, within a day
  fenqi staff add li --shop corner --role reviewer --layers law risk
  fenqi staff role ann --shop corner --give finance              one role more
  fenqi staff role ann --shop corner --take publisher            one role less, from the next page on
  fenqi staff list --shop corner
  fenqi staff reset ann                                          lost password or second factor: a new link
  fenqi staff disable ann                                        opens nothing from now on; `enable` undoes it

Roles: author drafts changes of the policy, reviewer (of layers) approves them, publisher puts them in force; support
answers customers, supervisor approves special cases; finance sees the books; auditor sees everything and changes
nothing; admin names the staff. Nobody approves what they wrote themselves, whatever roles they have.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "staff",
        help="who works in the console",
        description="Makes, lists and changes the accounts of those who work in the console.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = _action(actions, "add", "make an account, and the link that sets its password", run_add)
    add.add_argument("--shop", required=True, metavar="CODE", help="where they work")
    add.add_argument("--role", required=True, nargs="+", metavar="ROLE", help="what they do there")
    add.add_argument("--layers", nargs="+", metavar="LAYER", help="what a reviewer reviews: law, risk, …")
    role = _action(actions, "role", "give or take a role", run_role)
    role.add_argument("--shop", required=True, metavar="CODE", help="where")
    change = role.add_mutually_exclusive_group(required=True)
    change.add_argument("--give", metavar="ROLE")
    change.add_argument("--take", metavar="ROLE")
    role.add_argument("--layers", nargs="+", metavar="LAYER", help="what a reviewer reviews")
    listing = _action(actions, "list", "who works here", run_list, named=False)
    listing.add_argument("--shop", metavar="CODE", help="in this shop alone")
    _action(
        actions, "reset", "forget password and second factors, end all sessions, make a new link", run_reset
    )
    _action(actions, "disable", "close an account", run_disable)
    _action(actions, "enable", "open a closed account again", run_enable)


def _action(actions: Any, name: str, said: str, run: Any, *, named: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=said,
        description=said[0].upper() + said[1:] + ".",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if named:
        parser.add_argument("name", metavar="NAME", help="what they sign in with")
    parser.set_defaults(run=run)
    return parser


def cli_actor() -> str:
    """How the records name whoever runs a command: `cli:<account of the machine>`."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def run_add(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.console import people
        from fenqi_server.db import in_transaction

        shop = shop_of(arguments.shop)
        roles = [_role(role, "--role") for role in dict.fromkeys(arguments.role)]
        layers = _layers(arguments.layers, reviews="reviewer" in roles)
        if not people.USERNAME.fullmatch(arguments.name):
            raise BadInput(
                "NAME",
                arguments.name,
                "1 to 40 small letters, digits, dots, - and _",
                "such as ann or li.wei",
            )
        if people.find(arguments.name) is not None:
            raise BadInput(
                "NAME",
                arguments.name,
                "a name that nobody has yet",
                f"`fenqi staff role {arguments.name} --shop {shop.code} --give ROLE` gives an account a role",
            )
        at = clock.now()

        def act() -> User:
            user = people.add(arguments.name)
            for role in roles:
                people.grant(shop, user, role, at, cli_actor(), layers=layers if role == "reviewer" else ())
            return user

        user = in_transaction(act)
        print_json({**_shown(people.members(shop, user)[0], shop), "link": people.link_of(user)})
    note("The link sets the password: it works once, for a day. Hand it over as you would a key.")
    return 0


def run_role(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.console import people

        shop, user = shop_of(arguments.shop), _user(arguments.name)
        if arguments.give is not None:
            role = _role(arguments.give, "--give")
            layers = _layers(arguments.layers, reviews=role == "reviewer")
            people.grant(shop, user, role, clock.now(), cli_actor(), layers=layers)
        else:
            role = _role(arguments.take, "--take")
            if arguments.layers:
                raise BadInput("--layers", " ".join(arguments.layers), "nothing beside --take")
            if not people.take_away(shop, user, role):
                own = ", ".join(role for member in people.members(shop, user) for role in member.roles)
                raise BadInput(
                    "--take",
                    role,
                    f"one of {arguments.name}'s roles in {shop.code}: {own or 'there are none'}",
                )
        print_json(
            {
                "name": arguments.name,
                "shop": shop.code,
                "roles": [role for member in people.members(shop, user) for role in member.roles],
                "layers": [layer for member in people.members(shop, user) for layer in member.layers],
            }
        )
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.console import people
        from fenqi_server.shops import service as shops

        shop = None if arguments.shop is None else shop_of(arguments.shop)
        print_json({"staff": [_shown(each, shops.by_id(each.shop)) for each in people.members(shop)]})
    return 0


def run_reset(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.console import people

        user = _user(arguments.name)
        people.reset(user)
        print_json({"name": arguments.name, "link": people.link_of(user)})
    note("Signed out everywhere. The link sets a new password: it works once, for a day.")
    return 0


def run_disable(arguments: argparse.Namespace) -> int:
    return _open_or_close(arguments, open_=False)


def run_enable(arguments: argparse.Namespace) -> int:
    return _open_or_close(arguments, open_=True)


def _open_or_close(arguments: argparse.Namespace, *, open_: bool) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.console import people

        user = _user(arguments.name)
        (people.open_again if open_ else people.close)(user)
        print_json({"name": arguments.name, "open": open_})
    return 0


def _user(name: str) -> User:
    from fenqi_server.console import people

    user = people.find(name)
    if user is None:
        known = ", ".join(sorted({member.username for member in people.members()})[:20])
        raise BadInput(
            "NAME", name, f"one of {known}" if known else "somebody", "`fenqi staff list` shows them"
        )
    return user


def _role(given: str, place: str) -> str:
    from fenqi_server.console.access import ROLES

    if given not in ROLES:
        raise BadInput(place, given, "one of " + ", ".join(ROLES))
    return given


def _layers(given: list[str] | None, *, reviews: bool) -> tuple[str, ...]:
    if not reviews:
        if given:
            raise BadInput("--layers", " ".join(given), "nothing, as only a reviewer has layers")
        return ()
    if not given:
        raise BadInput("--layers", "missing", "what they review, such as law risk", "of " + ", ".join(LAYERS))
    for layer in given:
        if layer not in LAYERS:
            raise BadInput("--layers", layer, "one of " + ", ".join(LAYERS))
    return tuple(given)


def _shown(member: Member, shop: Shop) -> dict[str, Any]:
    return {
        "name": member.username,
        "shop": shop.code,
        "roles": list(member.roles),
        "layers": list(member.layers),
        "open": member.is_open,
        "password": member.has_password,
        "second_factors": list(member.second_factors),
        "last_sign_in": local_text(member.last_sign_in, shop),
    }
