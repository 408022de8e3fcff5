"""`fenqi policy draft`: a change of policy from its first file to its publication, with the review between.

The same drafts as the console's: what is begun here can be reviewed there. Whoever runs the command line has the host, and says
with `--actor` who they are; that an author does not approve their own change is the database's to hold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from fenqi.calendars import CalendarError
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.document import files_in
from fenqi.policy.snapshot import LAYERS
from fenqi.problems import BadInput

if TYPE_CHECKING:
    from fenqi_server.policies.drafts import Standing
    from fenqi_server.shops.models import Shop

__all__ = ["DRAFTS", "add_draft"]

DRAFTS: Final = """\
examples:
  fenqi policy draft new --shop corner --actor ann --title "a lower fee"       from the files in force
  fenqi policy draft files ID folder/ --shop corner                             write its files, to be edited
  fenqi policy draft edit ID folder/ --shop corner --actor ann                  another revision, and all that is wrong with it
  fenqi policy draft show ID --shop corner                                      where it stands, and what it changes in plain words
  fenqi policy draft submit ID --shop corner --actor ann --reason "the funder lowered it"
  fenqi policy draft approve ID --shop corner --actor bob --layer law           somebody else, for each layer that needs it
  fenqi policy draft publish ID --shop corner --actor eve --percent 20          now, --from an instant, or for a share first"""


def add_draft(actions: Any) -> None:
    """Add `draft` and its steps to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "draft",
        help="a change of policy, step by step: draft, review, publish",
        description=__doc__,
        epilog=DRAFTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)
    _step(steps, "list", "all drafts, newest first", _list, draft=False, actor=False)
    new = _step(steps, "new", "begin one, from the files in force or from a folder", _new, draft=False)
    new.add_argument("folder", nargs="?", metavar="DIR", help="the files to begin with")
    new.add_argument("--title", required=True, metavar="TEXT", help="what it is about, in a line")
    _step(steps, "show", "where it stands, and what it changes", _show, actor=False)
    files = _step(
        steps, "files", "write its files into a folder that is empty or not there", _files, actor=False
    )
    files.add_argument("folder", metavar="DIR", help="where to")
    edit = _step(steps, "edit", "make the folder's files its next revision", _edit)
    edit.add_argument("folder", metavar="DIR", help="the edited files")
    edit.add_argument(
        "--silent-reason", metavar="TEXT", help="why the public is not told, where no notice tells of it"
    )
    submit = _step(steps, "submit", "ask for review", _submit)
    submit.add_argument("--reason", required=True, metavar="TEXT", help="why it should be so")
    for name, said, run in (
        ("approve", "agree to it, for the layers named", _approve),
        ("return", "send it back, saying why", _return),
    ):
        review = _step(steps, name, said, run)
        review.add_argument(
            "--layer", action="append", required=True, choices=LAYERS, help="may stand several times"
        )
        review.add_argument("--reason", default="", required=name == "return", metavar="TEXT", help="why")
    _step(steps, "base", "take the policy in force now as its base, after somebody else published", _base)
    publish = _step(steps, "publish", "put it in force", _publish)
    publish.add_argument(
        "--from", dest="start", metavar="INSTANT", help="since when (now), on the shop's clock"
    )
    publish.add_argument(
        "--percent", type=int, default=100, metavar="N", help="for a share of the customers first"
    )
    _step(steps, "withdraw", "put it away; its record stays", _withdraw)


def _step(
    steps: Any, name: str, said: str, run: Callable[..., Any], *, draft: bool = True, actor: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = steps.add_parser(
        name,
        help=said,
        description=f"{said[0].upper()}{said[1:]}.",
        epilog=DRAFTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if draft:
        parser.add_argument("draft", metavar="ID", help="the draft's id")
    parser.add_argument("--shop", required=True, metavar="CODE", help="of which shop")
    if actor:
        parser.add_argument("--actor", required=True, metavar="NAME", help="who does it, for the record")
    parser.set_defaults(run=lambda arguments: _run(run, arguments))
    return parser


def _run(step: Callable[..., Any], arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server import clock
        from fenqi_server.commands.shop import shop_of, text_of
        from fenqi_server.policies.drafts import NoDraft, Refusal

        shop, at = shop_of(arguments.shop), clock.now()
        actor = f"cli:{text_of(arguments.actor, '--actor', longest=80)}" if "actor" in arguments else ""
        try:
            print_json({"shop": shop.code, **step(arguments, shop, actor, at)})
        except NoDraft:
            raise BadInput(
                "ID", arguments.draft, "a draft of this shop", "`fenqi policy draft list` names them"
            ) from None
        except Refusal as refusal:
            place = refusal.place or "draft"
            raise BadInput(
                place,
                refusal.code.replace("_", " "),
                f"something else: {refusal.sentence}",
                "`fenqi policy draft show` says where it stands",
            ) from None
    return 0


def _id(arguments: argparse.Namespace) -> UUID:
    try:
        return UUID(arguments.draft)
    except ValueError:
        raise BadInput(
            "ID", arguments.draft, "a draft's id", "`fenqi policy draft list` names them"
        ) from None


def _folder(written: str) -> dict[str, str]:
    files, problems = files_in(Path(written))
    if problems:
        raise BadInput("DIR", written, "a folder of policy files", str(problems[0]))
    return files


def _said(standing: Standing, shop: Shop, at: datetime) -> dict[str, Any]:
    from fenqi.policy.difference import change_text
    from fenqi_server.commands.shop import local_text
    from fenqi_server.policies import drafts

    revision = standing.revision
    changes: list[dict[str, Any]] = []
    if revision.digest is not None:
        before, after, difference = drafts.difference_of(standing, at)
        changes = [
            {
                "zh-CN": change_text(before, after, change, "zh-CN"),
                "en": change_text(before, after, change, "en"),
                "layer": change.layer,
                "notice": change.notice,
                "availability": change.availability,
            }
            for change in difference.changes
        ]
    return {
        "draft": str(standing.draft.id),
        "title": standing.draft.title,
        "author": standing.draft.author,
        "revision": revision.number,
        "digest": revision.digest,
        "state": standing.state,
        "needs": sorted(standing.needed),
        "missing": sorted(standing.missing),
        "waits_until": local_text(standing.waits_until, shop),
        "problems": [f"{p.file}:{p.line}:{p.column}: {p.message}" for p in revision.problems],
        "changes": changes,
    }


def _list(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    return {
        "drafts": [
            {
                "draft": str(each.draft.id),
                "title": each.draft.title,
                "author": each.draft.author,
                "state": each.state,
                "missing": sorted(each.missing),
            }
            for each in drafts.listed(shop, at)
        ]
    }


def _new(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    files = None if arguments.folder is None else _folder(arguments.folder)
    return _said(drafts.create(shop, arguments.title, actor, at, files=files), shop, at)


def _show(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    return _said(drafts.get(shop, _id(arguments), at), shop, at)


def _files(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    folder = Path(arguments.folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("DIR", arguments.folder, "a folder that is empty or not there", "name another")
    files = drafts.get(shop, _id(arguments), at).revision.files
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {"draft": arguments.draft, "files": sorted(files)}


def _edit(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    files = _folder(arguments.folder)
    return _said(
        drafts.edit(shop, _id(arguments), actor, files, at, silent_reason=arguments.silent_reason), shop, at
    )


def _submit(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    return _said(drafts.submit(shop, _id(arguments), actor, arguments.reason, at), shop, at)


def _approve(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    layers = arguments.layer
    return _said(drafts.approve(shop, _id(arguments), actor, layers, at, reason=arguments.reason), shop, at)


def _return(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    layers = arguments.layer
    return _said(drafts.send_back(shop, _id(arguments), actor, layers, at, reason=arguments.reason), shop, at)


def _base(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    return _said(drafts.take_base(shop, _id(arguments), actor, at), shop, at)


def _publish(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.commands.shop import local_text
    from fenqi_server.policies import drafts

    start = None
    if arguments.start is not None:
        try:
            start = datetime.fromtimestamp(parse_instant(arguments.start, shop.time_zone), UTC)
        except (ValueTrouble, CalendarError):
            raise BadInput(
                "--from", arguments.start, f"a time in {shop.time_zone}", "write it like 2026-12-01T22:00"
            ) from None
    made = drafts.publish(shop, _id(arguments), actor, at, valid_from=start, percent=arguments.percent)
    return {
        "publication": str(made.id),
        "digest": made.digest,
        "valid_from": local_text(made.valid_from, shop),
        "percent": made.percent,
    }


def _withdraw(arguments: argparse.Namespace, shop: Shop, actor: str, at: datetime) -> dict[str, Any]:
    from fenqi_server.policies import drafts

    return _said(drafts.withdraw(shop, _id(arguments), actor, at), shop, at)
