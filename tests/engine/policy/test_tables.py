from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy.compile import compile_policy
from fenqi.policy.conditions import All, Any, Clause, Range
from fenqi.policy.document import files_in, read_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import Rule, Window, decode, encode
from fenqi.policy.verdict import decide

from .policies import NOON
from .test_document import SHOP

BANDS = """\
row,cart.amount,periods
small,"[¥300, ¥1,000)",3
middle,"[¥1,000, ¥5,000)",3 | 12
large,"[¥5,000, ¥50,000]",*
"""
TABLE = """\
tables:
- id: terms
  layer: agreement
  owner: payments
  reason: TERM_UNAVAILABLE
  applies: {family: mall}
  over: {cart.amount: "[¥300, ¥50,000]"}
"""


def rules(csv: str, table: str = TABLE, shop: str = SHOP) -> dict[str, Rule]:
    result = read_policy({"shop.yaml": shop, "bands.yaml": table, "tables/terms.csv": csv})
    assert result.problems == ()
    assert result.snapshot is not None
    assert decode(encode(result.snapshot)) == result.snapshot
    return {rule.id: rule for rule in result.snapshot.rules}


def problems(csv: str, table: str = TABLE) -> list[str]:
    result = read_policy({"shop.yaml": SHOP, "bands.yaml": table, "tables/terms.csv": csv})
    assert (result.snapshot is None) == bool(result.problems)
    return [str(problem) for problem in result.problems]


def test_bands_say_for_each_plan_where_it_is_allowed() -> None:
    made = rules(BANDS)
    # Three instalments everywhere the table is for; twelve from ¥1,000 on, both bands said as one.
    assert list(made) == ["table.terms.mall_3", "table.terms.mall_12"]
    assert made["table.terms.mall_3"].require == Clause("cart.amount", "in", Range(30_000, 5_000_000))
    assert made["table.terms.mall_12"].require == Clause("cart.amount", "in", Range(100_000, 5_000_000))
    rule = made["table.terms.mall_12"]
    assert (rule.layer, rule.owner, rule.reason, rule.applies.plans) == (
        "agreement",
        "payments",
        "TERM_UNAVAILABLE",
        ("mall_12",),
    )


@pytest.mark.parametrize(
    ("amount", "offered"),
    [
        (29_999, set()),
        (30_000, {"mall_3"}),
        (99_999, {"mall_3"}),
        (100_000, {"mall_3", "mall_12"}),
        (5_000_000, {"mall_3", "mall_12"}),
        (5_000_001, set()),
    ],
)
def test_a_band_ends_exactly_where_it_says(amount: int, offered: set[str]) -> None:
    result = read_policy({"shop.yaml": SHOP, "bands.yaml": TABLE, "tables/terms.csv": BANDS})
    assert result.snapshot is not None
    verdicts = decide(compile_policy(result.snapshot), {"clock.now": NOON, "cart.amount": amount})
    assert {plan for plan in ("mall_3", "mall_12") if verdicts[plan].offered} == offered


def test_min_max_and_below_are_columns_too() -> None:
    csv = "cart.amount min,cart.amount below,plans\n¥300,¥1000,mall_3\n¥1000,*,mall_3 | mall_12\n"
    made = rules(csv, TABLE.replace('"[¥300, ¥50,000]"', '">= ¥300"'))
    assert made["table.terms.mall_3"].require == Clause("cart.amount", ">=", 30_000)
    assert made["table.terms.mall_12"].require == Clause("cart.amount", ">=", 100_000)
    csv = "cart.amount min,cart.amount max,plans\n¥300,¥999.99,mall_3\n¥1000,*,none\n"
    made = rules(csv, TABLE.replace('"[¥300, ¥50,000]"', '">= ¥300"'))
    assert made["table.terms.mall_3"].require == Clause("cart.amount", "in", Range(30_000, 99_999))
    assert (made["table.terms.mall_12"].require, made["table.terms.mall_12"].blocked) == (None, Window())


def test_a_bound_of_another_fact_is_asked_in_its_band_and_the_rest_is_not_offered() -> None:
    csv = """\
row,cart.amount,offer.annual_cost <=
small,"[¥300, ¥1,000)",*
middle,"[¥1,000, ¥5,000)",24%
,"[¥5,000, ¥50,000]",15.5%
"""
    assert problems(csv) == ["tables/terms.csv:4:1: row is empty: not a name; small letters, digits, _ and -"]
    made = rules(csv.replace("\n,", "\nlarge,"))
    assert list(made) == ["table.terms.outside", "table.terms.middle", "table.terms.large"]
    assert made["table.terms.outside"].require == Clause("cart.amount", "in", Range(30_000, 5_000_000))
    assert made["table.terms.middle"].when == Clause("cart.amount", "in", Range(100_000, 499_999))
    assert made["table.terms.middle"].require == Clause("offer.annual_cost", "<=", 240_000_000_000)
    # Without names they are numbered.
    without = "\n".join(line.partition(",")[2] for line in csv.splitlines()) + "\n"
    assert list(rules(without)) == ["table.terms.outside", "table.terms.2", "table.terms.3"]


def test_two_facts_make_boxes() -> None:
    csv = """\
cart.amount,card.kind,customer.student,plans
"[¥300, ¥5000)",*,*,mall_3
"[¥5000, ¥50000]",credit,no,*
"[¥5000, ¥50000]",credit,yes,mall_3
"[¥5000, ¥50000]",debit,*,none
"""
    made = rules(csv)
    low = Clause("cart.amount", "in", Range(30_000, 499_999))
    high = Clause("cart.amount", "in", Range(500_000, 5_000_000))
    credit = Clause("card.kind", "is", "credit")
    student = [Clause("customer.student", "is", value) for value in (False, True)]
    assert made["table.terms.mall_12"].require == All((high, credit, student[0]))
    assert made["table.terms.mall_3"].require == Any(
        (low, All((high, credit, student[0])), All((high, credit, student[1])))
    )


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        # A gap, with the stretch that is missing, behind the line before it.
        (
            'cart.amount,plans\n"[¥300, ¥1,000)",mall_3\n"[¥2,000, ¥50,000]",*\n',
            [
                "tables/terms.csv:2:1: no line holds for cart.amount [¥1,000.00, ¥2,000.00); add a line for it, or say under "
                "over: that the table is not for it"
            ],
        ),
        # An overlap, with what both hold for.
        (
            'cart.amount,plans\n"[¥300, ¥1,000]",mall_3\n"[¥1,000, ¥50,000]",*\n',
            [
                "tables/terms.csv:3:1: lines 2 and 3 both hold for cart.amount [¥1,000.00, ¥1,000.01); let one band end where "
                "the other begins"
            ],
        ),
        # Both, and the end.
        (
            'cart.amount,plans\n"[¥300, ¥1,000)",mall_3\n"[¥900, ¥2,000)",*\n"[¥3,000, ¥40,000)",*\n',
            [
                "tables/terms.csv:3:1: lines 2 and 3 both hold for cart.amount [¥900.00, ¥1,000.00); let one band end where the "
                "other begins",
                "tables/terms.csv:3:1: no line holds for cart.amount [¥2,000.00, ¥3,000.00); add a line for it, or say under "
                "over: that the table is not for it",
                "tables/terms.csv:4:1: no line holds for cart.amount [¥40,000.00, ¥50,000.01); add a line for it, or say under "
                "over: that the table is not for it",
            ],
        ),
        # A hole in one of two facts.
        (
            'cart.amount,card.kind,plans\n"[¥300, ¥1,000)",*,mall_3\n"[¥1,000, ¥50,000]",credit,*\n',
            [
                "tables/terms.csv:2:1: no line holds for cart.amount [¥1,000.00, ¥50,000.01) with card.kind debit; add a line "
                "for it, or say under over: that the table is not for it"
            ],
        ),
        (
            'cart.amount,plans\n"[¥200, ¥50,000]",mall_3\n',
            [
                "tables/terms.csv:2:1: cart.amount [¥200.00, ¥50,000.01) reaches beyond what the table is for, [¥300.00, "
                "¥50,000.01); end the band sooner, or widen over:"
            ],
        ),
        (
            'cart.amount,plans\n"[¥300, ¥50,000]",mall_3\n"[¥300, ¥50,000]",mall_3\n',
            ["tables/terms.csv:3:1: the line says again what line 2 says; keep one of them"],
        ),
        (
            "cart.amount,plans\n[¥300, ¥50,000],mall_3\n",
            [
                "tables/terms.csv:2:1: the line has 4 cells and the header 2; an amount with a comma in it stands in quotes"
            ],
        ),
        (
            'cart.amout,plans\n"[¥300, ¥50,000]",mall_3\n',
            [
                "tables/terms.csv:1:1: cart.amout is not a column: neither a fact nor plans, periods, row or note; did you mean "
                "cart.amount?"
            ],
        ),
        (
            'cart.amount;plans\n"[¥300, ¥50,000]";mall_3\n',
            ["tables/terms.csv:1:1: the columns are not separated by commas; save it as CSV (comma)"],
        ),
        (
            'note,cart.amount,plans\n,"[300, 50000)",mall_3\n',
            [
                "tables/terms.csv:2:2: cart.amount is money and 300 is a number: they cannot be compared; write ¥300.00"
            ],
        ),
        (
            'cart.amount,plans\n"[¥300, ¥50,000]",mall_4\n',
            [
                "tables/terms.csv:2:19: mall_4 is no plan that the table is about: not one of mall_12, mall_3; did you mean mall_3?"
            ],
        ),
        (
            'cart.amount,periods\n"[¥300, ¥50,000]",6\n',
            ["tables/terms.csv:2:19: 6 is no number of periods that the table is about: not one of 3, 12"],
        ),
        (
            'cart.amount,plans\n"[¥5,000, ¥300)",mall_3\n',
            ["tables/terms.csv:2:1: cart.amount is [¥5,000, ¥300): the band holds nothing"],
        ),
        (
            'cart.amount,plans\n,"mall_3"\n',
            ["tables/terms.csv:2:1: cart.amount is empty; write * where it does not matter"],
        ),
        (
            'cart.amount,plans\n"[¥300, ¥50,000]",\n',
            ["tables/terms.csv:2:19: plans is empty; write none, * for all, or names with | between"],
        ),
        (
            'cart.amount,offer.annual_cost <=\n"[¥300, ¥50,000]",24\n',
            ["tables/terms.csv:2:19: offer.annual_cost is 24: not a rate; write it like 24% or 15.5%"],
        ),
        (
            'cart.amount,cart.amount <=\n"[¥300, ¥50,000]",¥24\n',
            [
                "tables/terms.csv:1:1: cart.amount is asked for by itself: the table goes round in a circle; a line says what "
                "holds of another fact"
            ],
        ),
        (
            'cart.amount,customer.tier,plans\n"[¥300, ¥50,000]",*,*\n',
            [
                "tables/terms.csv:1:1: nothing says for which customer.tier the table is; say it under over:, beside the table"
            ],
        ),
        (
            "cart.kinds,plans\ngoods,*\n",
            [
                "tables/terms.csv:1:1: cart.kinds is a set of names, which has no bands; ask for it in a rule",
            ],
        ),
        (
            'cart.amount,cart.amount max,plans\n"[¥300, ¥50,000]",¥400,*\n',
            [
                "tables/terms.csv:1:1: cart.amount says its band twice; keep one way",
                "tables/terms.csv:1:13: cart.amount says its band twice; keep one way",
            ],
        ),
        (
            'cart.amount\n"[¥300, ¥50,000]"\n',
            [
                "tables/terms.csv:1:1: no column says what holds in a band; name one: plans, periods, or a fact with an operator "
                "such as offer.annual_cost <="
            ],
        ),
        ("plans\n*\n", ["tables/terms.csv:1:1: no column is a fact; name one, such as cart.amount"]),
        ("", ["tables/terms.csv:1:1: the table is empty; its first line names the columns"]),
        (
            "cart.amount,plans\n",
            ["tables/terms.csv:1:1: the table has no line; write one for each band"],
        ),
        (
            'cart.amount,plans\n"[¥300, ¥50,000]"x,*\n',
            ["tables/terms.csv:2:1: this is not CSV: ',' expected after '\"'; close each quote it opens"],
        ),
        (
            "cart.amount,plans\n\x00,*\n",
            ["tables/terms.csv:2:1: the file is not text; save it as CSV in UTF-8"],
        ),
        (
            'cart.amount,plans,plans\n"[¥300, ¥50,000]",*,*\n',
            ["tables/terms.csv:1:19: plans stands twice; keep one"],
        ),
        (
            'cart.amount,customer.age ~\n"[¥300, ¥50,000]",3\n',
            [
                "tables/terms.csv:1:13: ~ says neither a band nor what is asked; write customer.age, customer.age min, "
                "customer.age max, customer.age below, or customer.age with one of <=, >=, <, >, is, is not, in, not in, "
                "has any of, has all of, has none of"
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(csv: str, expected: list[str]) -> None:
    assert problems(csv) == expected


def test_a_table_and_its_file_need_each_other() -> None:
    result = read_policy({"shop.yaml": SHOP, "tables/terms.csv": BANDS})
    assert [str(one) for one in result.problems] == [
        "tables/terms.csv:1:1: no table is called terms; describe it under tables:, with id: terms"
    ]
    result = read_policy({"shop.yaml": SHOP, "b.yaml": TABLE, "tables/term.csv": BANDS})
    assert [str(one) for one in result.problems] == [
        "b.yaml:2:7: there is no file tables/terms.csv; did you mean term?",
        "tables/term.csv:1:1: no table is called term; did you mean terms?",
    ]
    result = read_policy(
        {"shop.yaml": SHOP, "b.yaml": TABLE, "tables/terms.csv": BANDS, "x/tables/terms.csv": BANDS}
    )
    assert "x/tables/terms.csv:1:1: there are two files called terms; rename one" in map(str, result.problems)


def test_a_table_of_law_says_what_an_unknown_fact_does() -> None:
    (problem,) = problems(BANDS, TABLE.replace("layer: agreement", "layer: law"))
    assert problem.startswith("bands.yaml:2:3: a table of the layer law has no unknown; write unknown:")


def test_no_rule_takes_the_name_of_a_tables_rule() -> None:
    extra = """\
rules:
- {id: table.terms.mall_3, layer: strategy, owner: me, reason: STRATEGY_PAUSE, applies: all, when: cart.amount > ¥1}
"""
    (problem, *_) = problems(BANDS, TABLE + extra)
    assert problem == "bands.yaml:2:3: table.terms.mall_3 would be two rules; name the table's row otherwise"


def test_an_excel_sheet_in_another_encoding_says_what_to_save(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "tables").mkdir()
    (tmp_path / "shop.yaml").write_text(SHOP + TABLE)
    sheet = tmp_path / "tables" / "terms.csv"
    sheet.write_bytes(BANDS.encode("gb18030"))
    _, found = files_in(tmp_path)
    assert [str(one) for one in found] == [
        "tables/terms.csv:2:1: the file is not UTF-8; save it as UTF-8; a spreadsheet program calls that CSV UTF-8"
    ]
    # As Excel saves it: with a byte order mark and carriage returns.
    sheet.write_bytes(BANDS.replace("\n", "\r\n").encode("utf-8-sig"))
    files, found = files_in(tmp_path)
    assert not found
    assert read_policy(files).problems == ()
    assert read_policy({**files, "tables/terms.csv": "\ufeff" + files["tables/terms.csv"]}).problems == ()


# --- any table ----------------------------------------------------------------------------------------------------


def tiling(chance: Random) -> list[tuple[int, int, int, int, bool]]:
    """Boxes of amount and tier that tile [0, 24) x [0, 6), each allowing a plan or not: cut again and again in two."""
    boxes = [(0, 24, 0, 6)]
    for _ in range(chance.randint(0, 8)):
        at = chance.randrange(len(boxes))
        low, high, bottom, top = boxes[at]
        if chance.random() < 0.5 and high - low > 1:
            cut = chance.randint(low + 1, high - 1)
            boxes[at : at + 1] = [(low, cut, bottom, top), (cut, high, bottom, top)]
        elif top - bottom > 1:
            cut = chance.randint(bottom + 1, top - 1)
            boxes[at : at + 1] = [(low, high, bottom, cut), (low, high, cut, top)]
    chance.shuffle(boxes)
    return [(*box, chance.random() < 0.5) for box in boxes]


def sheet(boxes: list[tuple[int, int, int, int, bool]]) -> str:
    lines = [
        f'"[¥{low}, ¥{high})","[{bottom}, {top})",{"mall_3" if allows else "none"}'
        for low, high, bottom, top, allows in boxes
    ]
    return "\n".join(["cart.amount,customer.tier,plans", *lines]) + "\n"


OVER = TABLE.replace("family: mall", "plan: mall_3").replace(
    '{cart.amount: "[¥300, ¥50,000]"}', '{cart.amount: "[¥0, ¥24)", customer.tier: "[0, 6)"}'
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_any_tiling_is_proven_whole_and_answers_as_its_lines_do(seed: int) -> None:
    chance = Random(seed)
    boxes = tiling(chance)
    result = read_policy({"shop.yaml": SHOP, "bands.yaml": OVER, "tables/terms.csv": sheet(boxes)})
    assert result.problems == ()
    assert result.snapshot is not None
    policy = compile_policy(result.snapshot)
    for _ in range(40):
        amount, tier = chance.randint(-1, 25), chance.randint(-1, 7)
        facts: dict[str, FactValue] = {"clock.now": NOON, "cart.amount": amount * 100, "customer.tier": tier}
        expected = any(
            allows and low <= amount < high and bottom <= tier < top
            for low, high, bottom, top, allows in boxes
        )
        assert decide(policy, facts)["mall_3"].offered == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_any_hole_and_any_overlap_is_found(seed: int) -> None:
    chance = Random(seed)
    boxes = tiling(chance)
    at = chance.randrange(len(boxes))
    low, high, bottom, top, allows = boxes[at]
    if len(boxes) > 1 and chance.random() < 0.5:
        del boxes[at]
        told = problems(sheet(boxes), OVER)
        assert told
        assert all("no line holds for cart.amount" in one for one in told)
        # What is said to be missing lies in the box that was taken out, and together it is all of it.
        missing = 0
        for one in told:
            found = re.search(
                r"cart.amount \[¥(\d+)\.00, ¥(\d+)\.00\) with customer.tier \[(\d+), (\d+)\)", one
            )
            assert found is not None
            a, b, c, d = map(int, found.groups())
            assert (low <= a < b <= high, bottom <= c < d <= top) == (True, True)
            missing += (b - a) * (d - c)
        assert missing == (high - low) * (top - bottom) or len(told) == 5
    else:
        boxes.append((low, high, bottom, top, not allows))
        told = problems(sheet(boxes), OVER)
        assert told == [
            f"tables/terms.csv:{len(boxes) + 1}:1: lines {at + 2} and {len(boxes) + 1} both hold for cart.amount "
            f"[¥{low}.00, ¥{high}.00) with customer.tier [{bottom}, {top}); let one band end where the other begins"
        ]


def test_a_thousand_lines_are_proven_quickly() -> None:
    lines = [f'"[¥{number}, ¥{number + 1})",{tier},*' for number in range(200) for tier in range(5)]
    csv = "\n".join(["cart.amount,customer.tier,plans", *lines]) + "\n"
    table = OVER.replace("[¥0, ¥24)", "[¥0, ¥200)").replace("[0, 6)", "0..4")
    assert list(rules(csv, table)) == ["table.terms.mall_3"]
    (problem,) = problems(csv.replace('"[¥77, ¥78)",3,*\n', ""), table)
    assert "no line holds for cart.amount [¥77.00, ¥78.00) with customer.tier [3, 4)" in problem
