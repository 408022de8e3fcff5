"""`fenqi evaluate`: how can this cart be paid, what does each way cost, and why is one missing?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from fenqi.calendars import from_epoch
from fenqi.checkout.document import evaluation_document
from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import RequestError, read_request
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.problems import BadInput
from fenqi.texts import LOCALES
from fenqi_server.cli import note

EXAMPLES = """\
examples:
  fenqi evaluate --policy src/fenqi_server/demo/policy examples/phone.json
  fenqi evaluate --policy src/fenqi_server/demo/policy examples/maintenance.json --locale en
  fenqi evaluate --policy policy/ cart.json | jq '.offers[] | {plan, total_minor}'
  fenqi evaluate --policy policy/ - < cart.json          the request from standard input
  fenqi evaluate --snapshot mall.snapshot --trust shop.key.pub cart.json    without the policy's folder, and without the service

A request (examples/ has whole ones):
  {"lines": [{"sku": "cg-15", "title": "Clearlight 15", "category": "phones", "kind": "goods", "quantity": 1,
              "unit_price_minor": 499900, "seller": "mall"}],
   "currency": "CNY", "channel": "web", "at": "2026-11-23T10:00:00+08:00",
   "facts": {"customer.age": 34, "customer.student": false}}

No server and no database: the answer is unsigned, and says that it is indicative. Without --locale texts come in zh-CN and en.
Exit codes: 0 answered ("not available" is an answer), 2 the request or the policy is wrong."""

MAX_REQUEST_BYTES = 1_000_000


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `evaluate` to the program's commands."""
    parser = subparsers.add_parser(
        "evaluate",
        help="how can this cart be paid, and why not otherwise?",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    policy = parser.add_mutually_exclusive_group(required=True)
    policy.add_argument("--policy", metavar="DIR", help="the folder of the policy's files")
    policy.add_argument("--snapshot", metavar="FILE", help="a signed snapshot, as the service gives it out")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PUBKEY",
        help="a public key whose snapshots are believed; may stand several times",
    )
    parser.add_argument("--locale", choices=LOCALES, help="texts in this language only")
    parser.add_argument("request", metavar="REQUEST.json", help="the request; - reads standard input")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the evaluation as JSON. 2 with the reason on standard error where request or policy is wrong."""
    begins: int | None = None
    if arguments.snapshot is not None:
        policy, begins = _signed(arguments.snapshot, arguments.trust)
    else:
        folder = Path(arguments.policy)
        if not folder.is_dir():
            return _refuse(f"--policy is {folder}: expected a folder with *.yaml files")
        loaded = load_policy(folder)
        if loaded.snapshot is None:
            for problem in loaded.problems:
                print(problem, file=sys.stderr)
            return _refuse(f"{folder} is not a policy: {len(loaded.problems)} problems")
        policy = compile_policy(loaded.snapshot, loaded.sets)
    try:
        if arguments.request == "-":
            data = sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1)
        else:
            with Path(arguments.request).open("rb") as file:
                data = file.read(MAX_REQUEST_BYTES + 1)
    except OSError as error:
        return _refuse(f"{arguments.request} cannot be read: {error.strerror}")
    if len(data) > MAX_REQUEST_BYTES:
        return _refuse(f"{arguments.request} has more than {MAX_REQUEST_BYTES} bytes")
    try:
        request = read_request(data, policy)
        answer = evaluate(policy, request)
    except RequestError as error:
        wrong = error.problem
        if not wrong.place:  # it is the whole document
            return _refuse(f"{arguments.request}: expected {wrong.expected} ({wrong.value})")
        return _refuse(f"{arguments.request}: {error}")
    if begins is not None and request.at < begins:
        then = from_epoch(begins, policy.zone).isoformat()
        note(f"fenqi evaluate: this snapshot is in force from {then} only, which is after the request's time")
    document = evaluation_document(policy, answer, locale=arguments.locale)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    return 0


def _signed(name: str, trusted: list[str]) -> tuple[Policy, int | None]:
    """The policy of a signed snapshot, and from when on it is in force. Only who asks for one pays for loading what verifies it."""
    from fenqi.policy.signing import load, verify
    from fenqi_server.commands.policy_snapshot import MAX_KEY_BYTES, MAX_SNAPSHOT_BYTES, file_bytes

    if not trusted:
        raise BadInput("--trust", "missing", "the public key of who signed the snapshot", "FILE.pub")
    keys = [file_bytes(each, "--trust", MAX_KEY_BYTES) for each in trusted]
    data = file_bytes(name, "--snapshot", MAX_SNAPSHOT_BYTES)
    header, _ = verify(data, keys)
    return load(data, keys), header.valid_from


def _refuse(message: str) -> int:
    print(f"fenqi evaluate: {message}", file=sys.stderr)
    return 2
