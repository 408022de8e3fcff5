"""`fenqi policy`: is a folder a policy, and if not, what is wrong and where? And which one is in force in a shop."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fenqi.calendars import CalendarError
from fenqi.policy.compile import compile_policy
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.document import files_in
from fenqi.policy.snapshot import LAYERS
from fenqi.policy.snapshot import digest as digest_of
from fenqi.problems import BadInput
from fenqi_server.commands.policy_acts import ACTS, add_acts
from fenqi_server.commands.policy_diff import add_diff
from fenqi_server.commands.policy_draft import add_draft
from fenqi_server.commands.policy_explain import add_explain
from fenqi_server.commands.policy_folder import read_folder
from fenqi_server.commands.policy_pack import add_pack
from fenqi_server.commands.policy_prove import add_prove
from fenqi_server.commands.policy_simulate import add_simulate
from fenqi_server.commands.policy_snapshot import add_snapshot
from fenqi_server.commands.policy_tests import add_test

if TYPE_CHECKING:
    from fenqi_server.policies.service import Publication
    from fenqi_server.shops.models import Shop

EXAMPLES = """\
examples:
  fenqi policy check policy/                      the policy's digest and what it holds
  fenqi policy check policy/ > /dev/null          only what is wrong, one line each, FILE:LINE:COLUMN first
  fenqi policy check policy/ | jq -r .digest      the name under which it is published

Exit codes: 0 it is a policy, 2 it is not; then "problems" says what is wrong and where."""

PUBLISHING = """\
examples:
  fenqi policy publish policy/ --shop corner --actor ann                           in force from now on
  fenqi policy publish policy/ --shop corner --actor ann --from 2026-12-01T00:00   on the shop's clock
  fenqi policy history --shop corner                                               what was, is and will be in force
  fenqi policy history --shop corner --at 2026-11-30T12:00 --known-at 2026-11-20T12:00   what held then, as known before
  fenqi policy rollback sha256:5b1c... --shop corner --actor ann                   an earlier one, from now on

A publication is never changed or taken back: rolling back publishes an old digest again. Of those that have begun, the
one that begins last is in force, so one that is planned takes over when its time comes. Running services see a
publication within a second."""

MAX_ACTOR = 80
MAX_REASON = 500
MAX_AHEAD_DAYS = 3_660
"""Ten years: a policy further away is a typing error."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `policy` and what it can do to the program's commands."""
    parser = subparsers.add_parser(
        "policy",
        help="check a folder of policy files, and publish it",
        description=__doc__,
        epilog=f"{EXAMPLES}\n\n{PUBLISHING}\n\n{ACTS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="read, type and compile every file; say everything that is wrong",
        description="Read, type and compile every *.yaml file under DIR, its tables/*.csv and its sets/*.txt as one policy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("folder", metavar="DIR", help="the policy's folder")
    check.set_defaults(run=run_check)
    publish = _add_publishing(actions, "publish", "check a folder, and put it in force in a shop")
    publish.add_argument("folder", metavar="DIR", help="the policy's folder")
    publish.add_argument("--shop", required=True, metavar="CODE", help="where")
    publish.add_argument("--actor", required=True, metavar="NAME", help="who does it, for the record")
    publish.add_argument("--from", dest="start", metavar="INSTANT", help="since when (now)")
    publish.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    publish.add_argument(
        "--silent-reason",
        default="",
        metavar="TEXT",
        help="why the public is told nothing, where something becomes unavailable, available or moves and no notice says so",
    )
    publish.set_defaults(run=run_publish)
    history = _add_publishing(actions, "history", "all publications of a shop")
    history.add_argument("--shop", required=True, metavar="CODE", help="of which shop")
    history.add_argument("--at", metavar="INSTANT", help="which was in force then, on the shop's clock")
    history.add_argument(
        "--known-at",
        metavar="INSTANT",
        help="by what had been recorded until then; by all that there is without",
    )
    history.set_defaults(run=run_history)
    rollback = _add_publishing(actions, "rollback", "put an earlier policy of a shop in force again")
    rollback.add_argument("digest", metavar="DIGEST", help="as `fenqi policy history` shows it")
    rollback.add_argument("--shop", required=True, metavar="CODE", help="where")
    rollback.add_argument("--actor", required=True, metavar="NAME", help="who does it, for the record")
    rollback.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    rollback.set_defaults(run=run_rollback)
    add_explain(actions)
    add_test(actions)
    add_snapshot(actions)
    add_acts(actions)
    add_draft(actions)
    add_pack(actions)
    add_prove(actions)
    add_diff(actions)
    add_simulate(actions)


def _add_publishing(actions: Any, name: str, said: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=said,
        description=f"{said[0].upper()}{said[1:]}.",
        epilog=PUBLISHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def run_check(arguments: argparse.Namespace) -> int:
    """Print what the folder holds as JSON; 0, or 2 with every problem, also as lines on standard error."""
    loaded = read_folder(arguments.folder)
    if loaded.snapshot is None:
        return 2
    snapshot = loaded.snapshot
    policy = compile_policy(snapshot, loaded.sets)
    layers = {layer: sum(rule.layer == layer for rule in policy.rules) for layer in LAYERS}
    report = {
        "ok": True,
        "digest": policy.digest,
        "shop": policy.shop.id,
        "funders": len(policy.funders),
        "plans": [plan.id for plan in policy.plans],
        "rules": len(policy.rules),
        "rules_by_layer": {layer: count for layer, count in layers.items() if count},
        "placements": len(snapshot.placements),
        "notices": len(policy.notices),
        "tests": len(snapshot.examples) + sum(len(rule.examples) for rule in snapshot.rules),
        "packs": [f"{pack.id}@{pack.version}" for pack in snapshot.packs],
        "unconfirmed": [rule.id for rule in policy.rules if rule.unconfirmed],
        "problems": [],
    }
    print(json.dumps(report, ensure_ascii=False, indent=2))
    return 0


def run_publish(arguments: argparse.Namespace) -> int:
    """Publish a folder that is a policy, and fits the shop; 2 with every problem where it is none."""
    from fenqi_server.cli import note
    from fenqi_server.commands.database import open_service
    from fenqi_server.commands.shop import shop_of, text_of

    actor = text_of(arguments.actor, "--actor", longest=MAX_ACTOR)
    loaded = read_folder(arguments.folder)
    if loaded.snapshot is None:
        return 2
    snapshot = loaded.snapshot
    compile_policy(snapshot, loaded.sets)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.policies import service as policies

        shop = shop_of(arguments.shop)
        at = clock.now()
        valid_from = at if arguments.start is None else _start(arguments.start, shop, at)
        there = policies.in_force(policies.publications(shop.id), valid_from)
        files = files_in(arguments.folder)[0]
        if there is not None and there.digest == digest_of(snapshot):
            note("This policy is in force then already: nothing was published.")
            policies.keep_files(shop, there, files)
            _say_published(shop, there, there)
        else:
            made = policies.publish(
                shop,
                snapshot,
                at,
                actor,
                sets=loaded.sets,
                files=files,
                valid_from=valid_from,
                reason=arguments.reason,
                silent_reason=arguments.silent_reason,
            )
            _say_published(shop, made, there)
    return 0


def run_history(arguments: argparse.Namespace) -> int:
    """Print a shop's publications, in the order in which they begin."""
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service
    from fenqi_server.commands.shop import shop_of

    with open_service():
        from fenqi_server import clock
        from fenqi_server.policies import service as policies

        shop = shop_of(arguments.shop)
        published = policies.publications(shop.id)
        at = clock.now()
        current = policies.in_force(published, at)
        lines = []
        for made in published:
            state = "in_force" if made == current else "planned" if made.valid_from > at else "past"
            lines.append({**_shown(made, shop), "state": state})
        answer: dict[str, Any] = {"shop": shop.code, "publications": lines}
        if arguments.at is not None or arguments.known_at is not None:
            valid_at = at if arguments.at is None else _instant("--at", arguments.at, shop)
            known_at = (
                None if arguments.known_at is None else _instant("--known-at", arguments.known_at, shop)
            )
            then = policies.in_force(published, valid_at, known_at=known_at)
            answer["in_force"] = None if then is None else _shown(then, shop)
        print_json(answer)
    return 0


def run_rollback(arguments: argparse.Namespace) -> int:
    """Publish an earlier policy of the shop again, from now on."""
    from fenqi_server.cli import note
    from fenqi_server.commands.database import open_service
    from fenqi_server.commands.shop import shop_of, text_of

    reason = text_of(arguments.reason, "--reason", longest=MAX_REASON)

    actor = text_of(arguments.actor, "--actor", longest=MAX_ACTOR)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.policies import service as policies

        shop = shop_of(arguments.shop)
        at = clock.now()
        there = policies.in_force(policies.publications(shop.id), at)
        if there is not None and there.digest == arguments.digest:
            note("This policy is in force already: nothing was published.")
            _say_published(shop, there, there)
            return 0
        try:
            made = policies.publish_again(
                shop, arguments.digest, at, actor, reason=reason, silent_reason=reason
            )
        except policies.NoPolicy:
            raise BadInput(
                "DIGEST",
                arguments.digest,
                f"the whole digest of a policy that shop {shop.code} had",
                f"`fenqi policy history --shop {shop.code}` shows them",
            ) from None
        _say_published(shop, made, there)
    return 0


def _say_published(shop: Shop, made: Publication, before: Publication | None) -> None:
    """The publication, what it follows, and until when it holds as far as is planned."""
    from fenqi_server.cli import note, print_json
    from fenqi_server.commands.shop import local_text
    from fenqi_server.policies import service as policies

    published = policies.publications(shop.id)
    following = next((later for later in published if later.valid_from > made.valid_from), None)
    until = local_text(following.valid_from, shop) if following else None
    print_json(
        {
            "shop": shop.code,
            "published": made != before,
            **_shown(made, shop),
            "until": until,
            "before": before.digest if before else None,
        }
    )
    if following is not None:
        note(f"It holds until {until}: then the one takes over that {following.actor} has planned.")


def _shown(made: Publication, shop: Shop) -> dict[str, str | None]:
    from fenqi_server.commands.shop import local_text

    return {
        "digest": made.digest,
        "valid_from": local_text(made.valid_from, shop),
        "recorded_at": local_text(made.recorded_at, shop),
        "actor": made.actor,
    }


def _start(given: str, shop: Shop, at: datetime) -> datetime:
    """`--from`: an instant to come. What was in force before now is a record, and answers were given by it."""
    start = _instant("--from", given, shop)
    if start < at:
        raise BadInput("--from", given, "an instant to come", "leave it out to publish now")
    if start > at + timedelta(days=MAX_AHEAD_DAYS):
        raise BadInput("--from", given, "an instant of the next ten years")
    return start


def _instant(option: str, given: str, shop: Shop) -> datetime:
    """An instant on the shop's clock."""
    try:
        return datetime.fromtimestamp(parse_instant(given, shop.time_zone), UTC)
    except ValueTrouble as trouble:
        expected = f"a date or a time in {shop.time_zone}"
        raise BadInput(
            option, given, expected, trouble.suggestion or "write it like 2026-12-01T00:00"
        ) from None
    except CalendarError:
        raise BadInput(option, given, "an instant of the years 1 to 9999") from None
