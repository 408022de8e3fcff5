"""`fenqi policy stop|pause|window|extend|end|audit|afterwards`: what an operator changes in one act, and the log of it.

Each act edits the files of the policy in force and publishes them with the announcement, as the console does.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from fenqi.calendars import CalendarError
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.problems import BadInput
from fenqi.texts import Text

if TYPE_CHECKING:
    from fenqi_server.policies.acts import Told
    from fenqi_server.policies.service import Publication
    from fenqi_server.shops.models import Shop

__all__ = ["ACTS", "add_acts"]

ACTS = """\
examples:
  fenqi policy stop mall_6 --shop corner --actor ann --reason "a wrong fee is shown"
  fenqi policy pause mall_6 --shop corner --actor ann --reason "costs are looked at" \\
      --zh 我们正在重新核定费用。 --en "We are working out the cost anew."                 until extended or ended
  fenqi policy window mall_3 mall_6 --from 2026-12-01T22:00 --until 2026-12-02T02:00 --shop corner --actor ann \\
      --reason upgrade --zh 账务系统升级。 --en "The accounts are being upgraded."
  fenqi policy extend maintenance.mall_3.20261201 --until 2026-12-02T04:00 --shop corner --actor ann --reason "not done"
  fenqi policy end maintenance.mall_3.20261201 --shop corner --actor ann --reason done
  fenqi policy afterwards --shop corner                        what waits to be looked at by someone else
  fenqi policy audit --shop corner --verify                    whether the log is what was written, and its head"""

MAX_ACTOR: Final = 80
MAX_REASON: Final = 500
NEXT_WORD: Final = timedelta(hours=24)


def add_acts(actions: Any) -> None:
    """Add the acts to what `fenqi policy` can do."""
    stop = _act(actions, "stop", "take one plan off the checkout now, with a stock announcement", run_stop)
    stop.add_argument("plan", metavar="PLAN", help="the plan's id")
    pause = _act(actions, "pause", "do not offer plans for a while, because the shop decides so", run_pause)
    pause.add_argument("plans", nargs="+", metavar="PLAN", help="the plans' ids")
    pause.add_argument(
        "--from", dest="start", metavar="INSTANT", help="since when (now), on the shop's clock"
    )
    pause.add_argument("--until", metavar="INSTANT", help="until when (not known yet)")
    window = _act(actions, "window", "plan maintenance of plans, told beforehand", run_window)
    window.add_argument("plans", nargs="+", metavar="PLAN", help="the plans' ids")
    window.add_argument("--from", dest="start", required=True, metavar="INSTANT", help="its beginning")
    window.add_argument("--until", required=True, metavar="INSTANT", help="its end")
    for parser in (pause, window):
        parser.add_argument(
            "--zh", required=True, metavar="TEXT", help="the reason for the public, in Chinese"
        )
        parser.add_argument(
            "--en", required=True, metavar="TEXT", help="the reason for the public, in English"
        )
    extend = _act(actions, "extend", "move the end of a window or pause, and of its notice", run_extend)
    extend.add_argument("rule", metavar="RULE", help="the rule's id")
    extend.add_argument("--until", required=True, metavar="INSTANT", help="the new end")
    end = _act(actions, "end", "end a window or pause now, or call it off", run_end)
    end.add_argument("rule", metavar="RULE", help="the rule's id")
    waiting = _plain(
        actions, "afterwards", "what waits to be looked at by someone else; look at one", run_afterwards
    )
    waiting.add_argument("publication", nargs="?", metavar="ID", help="the one that was looked at")
    waiting.add_argument("--verdict", choices=("right", "wrong"), help="whether it was right")
    waiting.add_argument("--actor", default="", metavar="NAME", help="who looked at it: not who did it")
    waiting.add_argument("--reason", default="", metavar="TEXT", help="why it was right or wrong")
    audit = _plain(actions, "audit", "the log of every act", run_audit)
    audit.add_argument("--verify", action="store_true", help="check the whole chain; 1 where it is broken")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="how many of the newest (50)")


def _plain(actions: Any, name: str, said: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=said,
        description=f"{said[0].upper()}{said[1:]}.",
        epilog=ACTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shop", required=True, metavar="CODE", help="of which shop")
    parser.set_defaults(run=run)
    return parser


def _act(actions: Any, name: str, said: str, run: Any) -> argparse.ArgumentParser:
    parser = _plain(actions, name, said, run)
    parser.add_argument("--actor", required=True, metavar="NAME", help="who does it, for the record")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    return parser


def run_stop(arguments: argparse.Namespace) -> int:
    """Stop one plan now."""
    from fenqi_server.commands.database import open_service

    actor, reason = _who_and_why(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of
        from fenqi_server.policies import acts

        shop = shop_of(arguments.shop)
        _say(shop, acts.stop_now(shop, arguments.plan, actor, reason, clock.now()))
    return 0


def run_pause(arguments: argparse.Namespace) -> int:
    """Pause plans, from an instant on, until an instant or until it is known."""
    from fenqi_server.commands.database import open_service

    actor, reason = _who_and_why(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of
        from fenqi_server.policies import acts

        shop, at = shop_of(arguments.shop), clock.now()
        start = at if arguments.start is None else _instant(arguments.start, "--from", shop)
        end = None if arguments.until is None else _instant(arguments.until, "--until", shop, end=True)
        rule, told = _told("pause", arguments, shop, start, None if end else at + NEXT_WORD)
        applies = {"plans": list(arguments.plans)}
        made = acts.pause(shop, rule, applies, actor, at, told, start=start, end=end, reason=reason)
        _say(shop, made, rule=rule)
    return 0


def run_window(arguments: argparse.Namespace) -> int:
    """Plan maintenance."""
    from fenqi_server.commands.database import open_service

    actor, reason = _who_and_why(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of
        from fenqi_server.policies import acts

        shop, at = shop_of(arguments.shop), clock.now()
        start = _instant(arguments.start, "--from", shop)
        end = _instant(arguments.until, "--until", shop, end=True)
        rule, told = _told("maintenance", arguments, shop, start, None)
        applies = {"plans": list(arguments.plans)}
        made = acts.open_window(shop, rule, applies, actor, at, told, start=start, end=end, reason=reason)
        _say(shop, made, rule=rule)
    return 0


def run_extend(arguments: argparse.Namespace) -> int:
    """Move an end."""
    from fenqi_server.commands.database import open_service

    actor, reason = _who_and_why(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of
        from fenqi_server.policies import acts

        shop = shop_of(arguments.shop)
        until = _instant(arguments.until, "--until", shop, end=True)
        made = acts.extend(shop, arguments.rule, until, actor, clock.now(), reason=reason)
        _say(shop, made, rule=arguments.rule)
    return 0


def run_end(arguments: argparse.Namespace) -> int:
    """End it now."""
    from fenqi_server.commands.database import open_service

    actor, reason = _who_and_why(arguments)
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of
        from fenqi_server.policies import acts

        shop = shop_of(arguments.shop)
        _say(shop, acts.end_now(shop, arguments.rule, actor, clock.now(), reason=reason), rule=arguments.rule)
    return 0


def run_afterwards(arguments: argparse.Namespace) -> int:
    """List what waits, or close one."""
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    if arguments.publication is not None:
        actor, reason = _who_and_why(arguments)
        if arguments.verdict is None:
            raise BadInput("--verdict", "", "right or wrong", "say which")
    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import local_text, shop_of
        from fenqi_server.policies import afterwards

        shop = shop_of(arguments.shop)
        if arguments.publication is not None:
            try:
                name = UUID(arguments.publication)
            except ValueError:
                raise BadInput(
                    "ID", arguments.publication, "a publication's id", "`fenqi policy afterwards` lists them"
                ) from None
            afterwards.close(shop, name, actor, arguments.verdict, reason, clock.now())
        lines = [
            {
                "publication": str(made.id),
                "kind": made.kind,
                "actor": made.actor,
                "reason": made.reason,
                "recorded_at": local_text(made.recorded_at, shop),
                "review_by": local_text(made.review_by, shop),
            }
            for made in afterwards.waiting(shop)
        ]
        print_json({"shop": shop.code, "waiting": lines})
    return 0


def run_audit(arguments: argparse.Namespace) -> int:
    """Print the newest entries; with --verify the head of the chain, or 1 and the first break."""
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.commands.shop import local_text, shop_of
        from fenqi_server.policies import audit

        shop = shop_of(arguments.shop)
        if arguments.verify:
            found = audit.verify(shop)
            if isinstance(found, audit.Break):
                print_json({"shop": shop.code, "whole": False, "entry": found.number, "what": found.what})
                return 1
            print_json({"shop": shop.code, "whole": True, "entries": found.number, "head": found.digest})
            return 0
        lines = [
            {
                "number": entry.number,
                "at": local_text(entry.at, shop),
                "actor": entry.actor,
                "act": entry.act,
                "subject": entry.subject,
                "reason": entry.reason,
                "before": entry.before,
                "after": entry.after,
                "digest": entry.digest,
            }
            for entry in audit.entries(shop, limit=arguments.limit)
        ]
        print_json({"shop": shop.code, "entries": lines})
    return 0


def _who_and_why(arguments: argparse.Namespace) -> tuple[str, str]:
    from fenqi_server.commands.shop import text_of

    actor = text_of(arguments.actor, "--actor", longest=MAX_ACTOR)
    return f"cli:{actor}", text_of(arguments.reason, "--reason", longest=MAX_REASON)


def _instant(given: str, place: str, shop: Shop, *, end: bool = False) -> datetime:
    try:
        return datetime.fromtimestamp(parse_instant(given, shop.time_zone, end=end), UTC)
    except ValueTrouble as trouble:
        expected = f"a date or a time in {shop.time_zone}"
        raise BadInput(
            place, given, expected, trouble.suggestion or "write it like 2026-12-01T22:00"
        ) from None
    except CalendarError:
        raise BadInput(place, given, "an instant of the years 1 to 9999") from None


def _told(
    kind: Literal["pause", "maintenance"],
    arguments: argparse.Namespace,
    shop: Shop,
    start: datetime,
    next_update: datetime | None,
) -> tuple[str, Told]:
    """The rule's id and what the public is told: the reason as given, the rest from stock."""
    from fenqi_server import clock
    from fenqi_server.policies import service as policies
    from fenqi_server.policies.telling import told_of

    policy = policies.current(shop.id, clock.now())
    reason = Text(arguments.zh, arguments.en)
    return told_of(kind, shop, policy, list(arguments.plans), start, reason, next_update)


def _say(shop: Shop, made: Publication, *, rule: str | None = None) -> None:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.shop import local_text

    print_json(
        {
            "shop": shop.code,
            "publication": str(made.id),
            "kind": made.kind,
            "rule": rule,
            "digest": made.digest,
            "before": made.base,
            "valid_from": local_text(made.valid_from, shop),
            "actor": made.actor,
            "review_by": local_text(made.review_by, shop),
        }
    )
