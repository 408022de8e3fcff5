from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy.compile import EVALUATORS, compile_policy
from fenqi.policy.snapshot import (
    KNOWN_SEMANTICS,
    DailyWindow,
    Selector,
    Snapshot,
    SnapshotError,
    UnknownFormat,
    UnknownSemantics,
    Window,
    decode,
    digest,
    encode,
    selects,
)

from .policies import NOON, PLANS, rule, rules, snapshot_of


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_snapshot_survives_its_encoding(data: st.DataObject) -> None:
    snapshot = snapshot_of(*(data.draw(rules(f"r{n}")) for n in range(3)))
    assert decode(encode(snapshot)) == snapshot
    assert digest(decode(encode(snapshot))) == digest(snapshot)


def test_the_encoding_is_canonical_and_names_its_versions() -> None:
    encoded = encode(snapshot_of(rule("a", require="card.bank in [icbc, cmb, ccb]")))
    assert b'"value":["ccb","cmb","icbc"]' in encoded
    assert encoded.startswith(b'{"families":')
    assert b'"format":"fenqi/policy@1"' in encoded
    assert b'"semantics":1' in encoded


def test_what_equals_its_default_is_encoded_alike_wherever_it_comes_from() -> None:
    # A word read from a file equals the default without being the same object.
    as_read = rule("a", blocked=Window(NOON, None))
    as_read = msgspec.structs.replace(as_read, unknown="".join(["bl", "ock"]), public="".join(["fu", "ll"]))
    written = rule("a", blocked=Window(NOON, None))
    assert encode(snapshot_of(as_read)) == encode(snapshot_of(written))
    assert encode(decode(encode(snapshot_of(as_read)))) == encode(snapshot_of(as_read))


def test_the_digest_is_the_same_in_another_process() -> None:
    # Python orders sets of texts anew in every process; the digest must not.
    code = (
        "from fenqi.policy.snapshot import *; from fenqi.policy.conditions import Clause; from fenqi.texts import Text;"
        "names = frozenset('abcdefghij');"
        "r = Rule(id='a', layer='cart', owner='o', reason='X', applies=Selector(all=True),"
        " require=Clause('cart.categories', 'has none of', names));"
        "print(digest(Snapshot(shop=ShopTerms('m', Text('m', 'm'), 'UTC', 'CNY'), rules=(r,))))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
    assert found.pop().startswith("sha256:")


def test_any_change_of_what_it_says_changes_the_name() -> None:
    names = {
        digest(snapshot_of()),
        digest(snapshot_of(rule("a", blocked=Window(NOON, None)))),
        digest(snapshot_of(rule("a", blocked=Window(NOON + 1, None)))),
        digest(snapshot_of(rule("a", daily=DailyWindow(0, 60)))),
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "expected an encoded snapshot"),
        (b"{}", "snapshot.format is empty: expected fenqi/policy@1"),
        (
            b'{"format":"fenqi/policy@1","semantics":2}',
            "snapshot.semantics is 2: expected one of 1; use the version",
        ),
        (b'{"format":"fenqi/policy@1","semantics":1}', "expected the shape of a snapshot"),
    ],
)
def test_what_is_no_snapshot_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(SnapshotError, match=said):
        decode(data)


def test_a_selector_covers_what_it_names() -> None:
    def covered(selector: Selector) -> list[str]:
        return [plan.id for plan in PLANS if selects(selector, plan)]

    assert covered(Selector(all=True)) == [plan.id for plan in PLANS]
    assert covered(Selector(plans=("card",), families=("mall",))) == ["mall_3", "mall_12", "card"]
    assert covered(Selector(funders=("ccb",))) == ["ccb_6", "ccb_24"]
    assert covered(Selector(legal_forms=("full_payment",))) == ["card"]
    assert covered(Selector()) == []


def test_windows_hold_their_beginning_and_not_their_end() -> None:
    window, nightly = Window(10, 20), DailyWindow(1380, 60)
    assert [window.holds(at) for at in (9, 10, 19, 20)] == [False, True, True, False]
    assert [nightly.holds(minute) for minute in (1379, 1380, 59, 60)] == [False, True, True, False]
    assert Window().holds(0)


def test_a_snapshot_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        snapshot_of().rules = ()  # type: ignore[misc]
    assert isinstance(snapshot_of(), Snapshot)
    assert msgspec.structs.replace(snapshot_of().plans[1].pricing, rate_per_period=Decimal("0.007"))


def test_many_threads_may_read_the_first_snapshot_at_once():
    """A process that starts serving reads it in every thread: it once brought the process down."""
    import subprocess
    import sys

    program = (
        "import sys, threading\n"
        "from fenqi.policy.snapshot import ShopTerms, Snapshot, decode, encode\n"
        "from fenqi.texts import Text\n"
        "data = encode(Snapshot(shop=ShopTerms('mall', Text('店', 'shop'), 'Asia/Shanghai', 'CNY')))\n"
        "sys.setswitchinterval(1e-6)\n"
        "barrier = threading.Barrier(8)\n"
        "def read():\n"
        "    barrier.wait()\n"
        "    assert decode(data).shop.id == 'mall'\n"
        "threads = [threading.Thread(target=read) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_each_meaning_ever_released_keeps_its_evaluator() -> None:
    """Take none out: decisions were made by them. What they answer is held by test_kept."""
    assert set(EVALUATORS) >= {1}
    assert EVALUATORS.keys() == KNOWN_SEMANTICS
    snapshot = snapshot_of()
    assert EVALUATORS[1](snapshot, {}).digest == compile_policy(snapshot).digest


def test_an_unknown_meaning_and_an_unknown_format_are_errors_of_their_own() -> None:
    for data, error in (
        (encode(msgspec.structs.replace(snapshot_of(), semantics=7)), UnknownSemantics),
        (encode(msgspec.structs.replace(snapshot_of(), format="fenqi/policy@9")), UnknownFormat),
    ):
        with pytest.raises(error, match="use the version of Fenqi that wrote it, or a newer one"):
            decode(data)
    with pytest.raises(UnknownSemantics, match=r"snapshot\.semantics is 7: expected one of 1"):
        compile_policy(msgspec.structs.replace(snapshot_of(), semantics=7))
    with pytest.raises(UnknownFormat):
        compile_policy(msgspec.structs.replace(snapshot_of(), format="other"))


def test_what_a_newer_version_wrote_is_refused_and_never_skipped() -> None:
    """A field that is not known might be what keeps somebody out."""
    data = encode(snapshot_of(rule("r", when="cart.amount > ¥1")))
    assert decode(data)
    newer = data.replace(b'"id":"r"', b'"id":"r","only_on":"sundays"')
    assert newer != data
    with pytest.raises(SnapshotError, match="more than this version of Fenqi can read"):
        decode(newer)
    # The same said in another order is another digest: only canonical bytes are a snapshot.
    with pytest.raises(SnapshotError, match="not as it writes it"):
        decode(b" " + data)
