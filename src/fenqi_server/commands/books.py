"""`fenqi books`: closing a month, proving the book, taking it elsewhere."""

from __future__ import annotations

import argparse
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fenqi.problems import BadInput
from fenqi_server.commands.shop import shop_of, text_of
from fenqi_server.days import read_day, read_instant

if TYPE_CHECKING:
    from fenqi.problems import Problem
    from fenqi_server.books.periods import Period
    from fenqi_server.shops.models import Shop

__all__ = ["add_parser"]

MAX_SHOWN = 50
MAX_ACTOR = 80

_EXAMPLES = """\
examples:
  fenqi books close 2026-11 --shop corner --actor ann      nothing more is booked in November; its trial balance is written down
  fenqi books periods --shop corner                        the months that are closed, and the one that closes next
  fenqi books balance --shop corner --as-of 2026-11-30     the trial balance of a day of the book
  fenqi books statement in_transit --shop corner --from 2026-11-01 --to 2026-11-30
  fenqi books map --shop corner --actor ann 1010 100201 "招商银行"     what the shop's own bookkeeping calls an account
  fenqi books export --csv --shop corner --period 2026-11 -o november.csv
  fenqi books export --beancount --shop corner -o book.beancount       the whole book; then: bean-check book.beancount
  fenqi books prove                                        does everything hold that must? every shop, every contract
  fenqi books prove --shop corner --sums                   its sums alone: seconds for a million transactions
  fenqi books heads > heads.json                           the newest hash over the book: keep it somewhere else
  fenqi books heads --days 30                              the last one of each of the newest thirty days
  fenqi books heads --check heads.json                     is every row still what it was then?

A month closes after its last day, in order, and for good: what is put right later is booked on the day on which it is put
right. It stays open while something stands in the way (exit code 1, each named): a contract whose book is not what its
events come to, a settlement that has arrived and left money in transit, a due date that was not run.

The worker proves every book each night; what it finds stands on the console's home. A proof that finds something ends with 1.
"""


class _Noted(msgspec.Struct):
    number: int
    digest: str


class _Heads(msgspec.Struct):
    """What `fenqi books heads` wrote, and `--check` reads."""

    heads: tuple[_Noted, ...]


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "books",
        help="close a month of the book, prove it, take it elsewhere",
        description="Closes months of a shop's book, proves it, and takes it elsewhere.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, help: str, description: str, run: Any) -> Any:
        made = actions.add_parser(
            name,
            help=help,
            description=description,
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    close = action(
        "close",
        "close a month for good",
        "Closes a month: nothing more is booked in it, and its trial balance is written down.",
        run_close,
    )
    close.add_argument("period", metavar="MONTH", help="such as 2026-11")
    _shop(close)
    close.add_argument("--actor", required=True, metavar="NAME", help="who closes it, for the record")
    periods = action(
        "periods",
        "the months that are closed",
        "Lists the months that are closed, the newest first.",
        run_periods,
    )
    _shop(periods)
    balance = action(
        "balance",
        "the trial balance of a day",
        "Prints what every account comes to, on a day of the book and as it was known at an instant.",
        run_balance,
    )
    _shop(balance)
    balance.add_argument("--as-of", metavar="DAY", help="the day of the book (without it: everything booked)")
    _known_at(balance)
    statement = action(
        "statement",
        "every entry of an account",
        "Prints the entries of an account as a table, with what it came to before, after each and at the end.",
        run_statement,
    )
    statement.add_argument(
        "account", metavar="ACCOUNT", help="its code or its name, such as 1020 or in_transit"
    )
    _shop(statement)
    statement.add_argument("--currency", metavar="CODE", help="the shop's own without it")
    statement.add_argument("--from", dest="first_on", metavar="DAY", help="the first day of the book")
    statement.add_argument("--to", dest="last_on", metavar="DAY", help="the last day of the book")
    _known_at(statement)
    mapped = action(
        "map",
        "what the shop's own bookkeeping calls an account",
        "Names an account in the shop's own bookkeeping, in a new version; without words, lists what is named.",
        run_map,
    )
    _shop(mapped)
    mapped.add_argument("--actor", metavar="NAME", help="who says so, for the record")
    mapped.add_argument(
        "words", nargs="*", metavar="ACCOUNT CODE NAME", help='such as 1010 100201 "Main bank"'
    )
    export = action(
        "export",
        "take the book elsewhere",
        "Writes a month in the shop's own accounts as CSV, or the whole book for Beancount with balances it can check.",
        run_export,
    )
    kind = export.add_mutually_exclusive_group(required=True)
    kind.add_argument("--csv", action="store_true", help="a month, one line an entry")
    kind.add_argument("--beancount", action="store_true", help="the whole book")
    _shop(export)
    export.add_argument("--period", metavar="MONTH", help="such as 2026-11; with --csv")
    export.add_argument(
        "--mapped-at", metavar="INSTANT", help="with the shop's accounts as they were then; with --csv"
    )
    export.add_argument("-o", "--output", required=True, metavar="FILE", type=Path, help="the file to write")
    prove = action(
        "prove",
        "does everything hold that must?",
        "Proves books: all their sums, and every contract against its events. What is found is recorded.",
        run_prove,
    )
    prove.add_argument("--shop", metavar="CODE", help="whose book (without it: every shop's)")
    heads = action(
        "heads",
        "the newest hash over the whole book",
        "Prints where the chain of hashes over every book of this installation stands, or holds the book to what was printed.",
        run_heads,
    )
    heads.add_argument("--days", metavar="N", default="1", help="the last head of each of so many days (1)")
    heads.add_argument("--check", metavar="FILE", type=Path, help="a file that this command wrote")
    prove.add_argument("--sums", action="store_true", help="the sums alone, without replaying contracts")


def _shop(parser: Any) -> None:
    parser.add_argument("--shop", required=True, metavar="CODE", help="whose book")


def _known_at(parser: Any) -> None:
    parser.add_argument(
        "--known-at", metavar="INSTANT", help="without what was recorded after it, such as 2026-12-05T18:00"
    )


def _day(text: str | None, place: str) -> date | None:
    if text is None:
        return None
    try:
        return read_day(text)
    except ValueError:
        raise BadInput(place, text, "a day such as 2026-11-30") from None


def _instant(text: str | None, place: str, shop: Shop) -> datetime | None:
    """An instant with its offset, or on the shop's clock."""
    from fenqi.calendars import zone_of

    if text is None:
        return None
    try:
        found = read_instant(text)
    except ValueError:
        raise BadInput(place, text, "an instant such as 2026-12-05T18:00") from None
    return found if found.tzinfo else found.replace(tzinfo=zone_of(shop.time_zone))


def run_close(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    actor = f"cli:{text_of(arguments.actor, '--actor', longest=MAX_ACTOR)}"
    with open_service():
        from fenqi_server import clock
        from fenqi_server.books import periods

        shop = shop_of(arguments.shop)
        try:
            closed = periods.close(shop, arguments.period, actor, clock.now())
        except periods.CloseRefused as refused:
            print_json(
                {"shop": shop.code, "period": refused.period, "closed": False, **_problems(refused.problems)}
            )
            return 1
        print_json({"shop": shop.code, **_period(closed)})
    return 0


def run_periods(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.books import periods

        shop = shop_of(arguments.shop)
        following = periods.next_period(shop)
        print_json(
            {
                "shop": shop.code,
                "next": f"{following[0]:%Y-%m}" if following else None,
                "periods": [_period(each) for each in periods.periods(shop)],
            }
        )
    return 0


def run_balance(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi.ledger.accounts import CHART
        from fenqi.money import decimal_text
        from fenqi_server.books.reading import trial_balance

        shop = shop_of(arguments.shop)
        as_of, known_at = _day(arguments.as_of, "--as-of"), _instant(arguments.known_at, "--known-at", shop)
        found = trial_balance(shop, as_of=as_of, known_at=known_at)
        print_json(
            {
                "shop": shop.code,
                "as_of": as_of.isoformat() if as_of else None,
                "known_at": known_at.isoformat() if known_at else None,
                "balances": [
                    {
                        "account": each.account,
                        "name": CHART[each.account].name,
                        "currency": each.currency,
                        "debit": decimal_text(each.debit_minor, each.currency),
                        "credit": decimal_text(each.credit_minor, each.currency),
                        "balance": decimal_text(each.debit_minor - each.credit_minor, each.currency),
                    }
                    for each in found
                ],
            }
        )
    return 0


def run_statement(arguments: argparse.Namespace) -> int:
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi.money import check_currency, decimal_text
        from fenqi_server.books import mapping, reading
        from fenqi_server.commands.table import print_table
        from fenqi_server.ids import public_id

        shop = shop_of(arguments.shop)
        account = mapping.account_of(arguments.account)
        currency = check_currency(arguments.currency or shop.currency, place="--currency")
        bounds = {
            "first_on": _day(arguments.first_on, "--from"),
            "last_on": _day(arguments.last_on, "--to"),
            "known_at": _instant(arguments.known_at, "--known-at", shop),
        }
        whole = reading.statement(shop, account.code, currency, limit=1, **bounds)
        rows = [("", "opening balance", "", "", "", decimal_text(whole.opening_minor, currency))]
        for line in reading.lines(shop, account.code, currency, **bounds):
            amount = decimal_text(abs(line.amount_minor), currency)
            contract = public_id("ct", line.customer_id, line.contract_id) if line.contract_id else ""
            rows.append(
                (
                    line.booked_on.isoformat(),
                    line.event_kind,
                    line.reference or line.settlement or contract,
                    amount if line.amount_minor > 0 else "",
                    amount if line.amount_minor < 0 else "",
                    decimal_text(line.balance_minor, currency),
                )
            )
        rows.append(("", "closing balance", "", "", "", decimal_text(whole.closing_minor, currency)))
        print_table(("day", "event", "reference", "debit", "credit", "balance"), rows, right=(3, 4, 5))
    return 0


def run_map(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    if len(arguments.words) not in (0, 3):
        raise BadInput(
            "words", " ".join(arguments.words), 'an account, a code and a name: 1010 100201 "Main bank"'
        )
    if arguments.words and not arguments.actor:
        raise BadInput("--actor", "missing", "who says so, for the record")
    with open_service():
        from fenqi_server import clock
        from fenqi_server.books import mapping

        shop = shop_of(arguments.shop)
        if arguments.words:
            account, code, name = arguments.words
            actor = f"cli:{text_of(arguments.actor, '--actor', longest=MAX_ACTOR)}"
            mapping.map_account(shop, mapping.account_of(account).code, code, name, actor, clock.now())
        print_json(
            {
                "shop": shop.code,
                "accounts": [
                    {
                        "account": each.account,
                        "code": each.code,
                        "name": each.name,
                        "version": each.version,
                        "since": each.at.isoformat(),
                    }
                    for _, each in sorted(mapping.mapping(shop).items())
                ],
            }
        )
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import Failure, note, print_json
    from fenqi_server.commands.database import open_service

    if arguments.csv and not arguments.period:
        raise BadInput("--period", "missing", "the month to export, such as 2026-11")
    if arguments.beancount and (arguments.period or arguments.mapped_at):
        raise BadInput("--period", "given", "the whole book", "a month alone is exported with --csv")
    part = arguments.output.with_name(arguments.output.name + ".part")
    with open_service():
        from fenqi_server.books import beancount, journal
        from fenqi_server.spreadsheet import ENCODING

        shop = shop_of(arguments.shop)
        written: Any
        try:
            if arguments.csv:
                mapped_at = _instant(arguments.mapped_at, "--mapped-at", shop)
                with part.open("w", encoding=ENCODING, newline="") as out:
                    written = journal.write_month(shop, arguments.period, out, mapped_at=mapped_at)
            else:
                with part.open("w", encoding="utf-8") as out:
                    written = beancount.write_book(shop, out)
            # A file of this name is there whole, or not at all.
            part.replace(arguments.output)
        except OSError as problem:
            raise Failure(f"{arguments.output} cannot be written: {problem.strerror}") from problem
        finally:
            part.unlink(missing_ok=True)
        if arguments.csv and not written.closed:
            note(f"{written.period} is not closed: what is booked in it later is not in the file.")
        print_json({"shop": shop.code, "file": str(arguments.output), **msgspec.to_builtins(written)})
    return 0


def run_prove(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    with open_service():
        from fenqi_server.shops.models import Shop

        shops = [shop_of(arguments.shop)] if arguments.shop else list(Shop.objects.order_by("created_at"))
        proved = [_prove(shop, sums=arguments.sums) for shop in shops]
    ok = all(each["ok"] for each in proved)
    print_json({"ok": ok, "shops": proved})
    return 0 if ok else 1


def run_heads(arguments: argparse.Namespace) -> int:
    from fenqi_server.cli import print_json
    from fenqi_server.commands.database import open_service

    if not arguments.days.isascii() or not arguments.days.isdigit() or not 0 < int(arguments.days) <= 3660:
        raise BadInput("--days", arguments.days, "a number of days from 1 to 3660")
    noted = _noted(arguments.check) if arguments.check else None
    with open_service():
        from fenqi_server import clock
        from fenqi_server.books import sealing

        if noted is not None:
            return _check_heads(noted)
        while sealing.seal(clock.now()):
            pass
        print_json(
            {
                "formula": sealing.VERSION,
                "heads": [
                    {**msgspec.to_builtins(each), "sealed_at": each.sealed_at.isoformat()}
                    for each in sealing.heads(daily=int(arguments.days))
                ],
            }
        )
    return 0


def _check_heads(noted: tuple[tuple[int, str], ...]) -> int:
    from django.db import connection

    from fenqi_server.books.proof import one_instant
    from fenqi_server.books.sealing import verify
    from fenqi_server.cli import print_json
    from fenqi_server.db import use_shop
    from fenqi_server.shops.models import Shop

    found: dict[str, Problem] = {}
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with one_instant(connection):
            use_shop(shop.id)
            # What is wrong with the chain itself is found from every shop; once is enough.
            found.update({problem.sentence: problem for problem in verify(connection, noted=noted)})
    print_json({"ok": not found, "checked": len(noted), **_problems(tuple(found.values()))})
    return 1 if found else 0


def _noted(file: Path) -> tuple[tuple[int, str], ...]:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Heads)
    except (OSError, msgspec.DecodeError) as problem:
        raise BadInput("--check", str(file), "a file that `fenqi books heads` wrote", str(problem)) from None
    if not kept.heads:
        raise BadInput("--check", str(file), "a file with a head or more", "this one has none")
    return tuple((each.number, each.digest) for each in kept.heads)


def _prove(shop: Shop, *, sums: bool) -> dict[str, Any]:
    import time

    from django.db import connection

    from fenqi_server import clock
    from fenqi_server.books import proofs
    from fenqi_server.books.proof import one_instant, prove_contracts, prove_sums
    from fenqi_server.commands.progress import Progress
    from fenqi_server.db import use_shop

    began = time.monotonic()
    use_shop(shop.id)
    with one_instant(connection):
        use_shop(shop.id)
        report = prove_sums(connection)
        if not sums:
            with Progress(f"replaying the contracts of {shop.code}", report.contracts) as bar:
                report = report.with_contracts(prove_contracts(connection, progress=bar.to))
    proof = proofs.record(shop, "asked", report, clock.now(), "cli", round((time.monotonic() - began) * 1000))
    return {
        "shop": shop.code,
        "ok": report.ok,
        "transactions": report.transactions,
        "contracts": report.contracts,
        "replayed": report.replayed,
        "seconds": round(proof.duration_ms / 1000, 3),
        "sums": {each.currency: each.sum_minor for each in report.totals},
        **_problems(report.problems),
    }


def _period(period: Period) -> dict[str, Any]:
    return {
        "period": period.name,
        "closed": period.closed_at is not None,
        "closed_at": period.closed_at.isoformat() if period.closed_at else None,
        "closed_by": period.begun_by,
        "transactions": period.transactions,
        "digest": period.digest,
    }


def _problems(problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "problems": [problem.sentence for problem in problems[:MAX_SHOWN]],
        "problems_not_shown": max(0, len(problems) - MAX_SHOWN),
    }
