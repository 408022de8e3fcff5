from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.checkout.examples import run_examples
from fenqi.policy.compile import compile_policy
from fenqi.policy.conditions import All, Any, Clause, Not
from fenqi.policy.document import Problem, load_policy, read_policy
from fenqi.policy.snapshot import DailyWindow, Pending, Selector, Snapshot, Window, decode, encode
from fenqi.terms.agreed import AccelerationTerms, LateTerms, PayoffTerms, ReturnTerms, ServicingTerms
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, PayInFull, ZeroInterest

from .policies import NOON

SHOP = """\
format: fenqi/policy@1
shop: {id: mall, name: {zh-CN: 商城, en: Mall}, time_zone: Asia/Shanghai, currency: CNY}
funders:
- {id: mall, name: {zh-CN: 商城, en: Mall}, kind: shop, own_book: yes}
- id: ccb
  name: {zh-CN: 建设银行, en: CCB}
  kind: bank
  decides: on_its_page
  agreement: {version: 2026-1, from: 2026-01-01, to: 2026-12-31, min: ¥500, max: "¥50,000", terms: [6, 24], cost_ceiling: 24%}
- {id: card, name: {zh-CN: 银行卡, en: Card}, kind: acquirer, decides: on_its_page}
families:
- {id: mall, funder: mall, name: {zh-CN: 商城分期, en: Mall instalments}, legal_form: instalment_sale}
- {id: ccb, funder: ccb, name: {zh-CN: 建行分期, en: CCB instalments}, legal_form: card_instalment}
- {id: loan, funder: ccb, name: {zh-CN: 建行贷款, en: CCB loan}, legal_form: loan}
- {id: card, funder: card, name: {zh-CN: 银行卡, en: Card}, legal_form: full_payment}
plans:
- {id: mall_3, family: mall, periods: 3, pricing: {kind: zero_interest, borne_by: shop}}
- {id: mall_12, family: mall, periods: 012, pricing: {kind: flat_fee, rate_per_period: 0.6%}, down_payment: {share: 10%}}
- id: ccb_24
  family: ccb
  periods: 24
  pricing: {kind: flat_fee, total_rate: 12 %}
  authority: funder
  indicative_basis: {zh-CN: 按签约费率估算, en: At the contracted rate}
  contingent:
  - {code: late, name: {zh-CN: 逾期利息, en: Late interest}, basis: {zh-CN: 日万分之五, en: 0.05 % a day}, payee: ccb}
- {id: loan_12, family: loan, periods: 12, pricing: {kind: annuity, annual_rate: 15.5%}}
- {id: card, family: card, periods: 1, pricing: {kind: pay_in_full}}
"""


def read(rules: str = "", shop: str = SHOP) -> Snapshot:
    result = read_policy({"shop.yaml": shop, "rules/banks.yaml": rules or "rules: []\n"})
    assert result.problems == ()
    assert result.snapshot is not None
    return result.snapshot


def problems(rules: str, shop: str = SHOP) -> list[str]:
    result = read_policy({"shop.yaml": shop, "rules/banks.yaml": rules})
    assert (result.snapshot is None) == bool(result.problems)
    return [str(problem) for problem in result.problems]


def test_a_policy_reads_as_what_it_says() -> None:
    snapshot = read()
    assert snapshot.shop.time_zone == "Asia/Shanghai"
    ccb = snapshot.funders[1]
    assert ccb.agreement is not None
    assert (ccb.agreement.version, ccb.agreement.terms, ccb.agreement.cost_ceiling) == (
        "2026-1",
        (6, 24),
        Decimal("0.24"),
    )
    assert (ccb.agreement.min_amount_minor, ccb.agreement.max_amount_minor) == (50_000, 5_000_000)
    # To 2026-12-31 includes the 31st.
    assert ccb.agreement.valid_to == NOON + 12 * 3600 + 38 * 86_400
    plans = {plan.id: plan for plan in snapshot.plans}
    assert plans["mall_3"].pricing == ZeroInterest("shop")
    assert plans["mall_12"].pricing == FlatFee(rate_per_period=Decimal("0.006"))
    assert plans["mall_12"].down_payment == DownPayment(share=Decimal("0.1"))
    assert plans["mall_12"].periods == 12
    assert plans["ccb_24"].pricing == FlatFee(total_rate=Decimal("0.12"))
    assert plans["ccb_24"].contingent[0].payee == "ccb"
    assert plans["loan_12"].pricing == Annuity(Decimal("0.155"))
    assert (plans["card"].pricing, plans["card"].legal_form, plans["card"].funder) == (
        PayInFull(),
        "full_payment",
        "card",
    )


SERVICING = SHOP.replace(
    "{kind: zero_interest, borne_by: shop}}",
    """{kind: zero_interest, borne_by: shop},
   contingent: [{code: late, name: {zh-CN: 违约金, en: Late charge}, basis: {zh-CN: 日万分之三, en: 0.03 % a day}, payee: mall}],
   servicing: {payoff: {fees: to_period_end}, returns: {settles: proportional, paid_fee: returned},
               late: {annual_rate: 10.95%, code: late, year_days: 365, grace_days: 3, cap_rate: 12%, cap_basis: LPR x 4},
               acceleration: {days_after_demand: 30}}}""",
)


def test_what_is_agreed_for_a_contracts_later_life_reads_as_what_it_says() -> None:
    plans = {plan.id: plan for plan in read(shop=SERVICING).plans}
    assert plans["mall_12"].servicing is None
    assert plans["mall_3"].servicing == ServicingTerms(
        PayoffTerms("to_period_end"),
        LateTerms(Decimal("0.1095"), "late", Decimal("0.12"), "LPR x 4", 365, 3),
        ReturnTerms("proportional", "returned"),
        AccelerationTerms(5, 30),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "code: late, year_days",
            "code: other, year_days",
            "a cost that the disclosure names as one that may arise",
        ),
        ("year_days: 365", "year_days: 364", "late.year_days is 364: not one of 360, 365"),
        (", cap_basis: LPR x 4", "", "late has a cap_rate and no cap_basis"),
        ("settles: proportional", "settles: from_first", "returns.settles is from_first: not one of"),
        ("annual_rate: 10.95%", "annual_rate: soon", "annual_rate is soon: not a rate"),
        ("days_after_demand: 30", "days_after_demand: 900", "servicing.acceleration.days_after_demand"),
        (
            "annual_rate: 15.5%}}",
            "annual_rate: 15.5%}, servicing: {payoff: {fees: to_date}}}",
            "servicing is said of ccb, who keeps its contracts itself",
        ),
    ],
)
def test_what_is_wrong_with_the_later_life_is_said_at_its_place(old: str, new: str, said: str) -> None:
    assert old in SERVICING
    (found,) = problems("rules: []\n", SERVICING.replace(old, new))
    assert said in found
    assert found.startswith("shop.yaml:")


RULE = """\
rules:
- id: everything
  layer: risk
  owner: risk team
  reason: PREQUAL_DECLINED
  applies: {family: mall, plans: [ccb_24], legal_form: loan}
  when: customer.signed_in is yes
  require:
  - card.kind is credit
  - any:
    - customer.tier >= 3
    - all: [customer.tier >= 1, customer.account_days >= 365]
  - not: cart.has_coupon is yes
  valid: {from: 2026-11-23, to: 2026-12-20}
  blocked: {from: 2026-11-23T12:00}
  daily: {from: 22:00, to: 02:00}
  unknown: ask
  pending: {when: funder.ccb.prequal is pending, deadline: funder.ccb.prequal_deadline}
  instead: [card]
  public: generic
  change: funder
  source: 民法典 634
  title: {zh-CN: 标题, en: Title}
  detail: {customer: {zh-CN: "至 {until:instant}", en: "Until {until:instant}"}, agent: {zh-CN: 说明, en: Say so}}
notices:
- id: pause
  title: {zh-CN: 公告, en: Notice}
  reason: {zh-CN: 升级, en: An upgrade}
  affected: {zh-CN: 新订单, en: New orders}
  unaffected: {zh-CN: 还款, en: Repayment}
  since: 2026-11-23
  until: 2026-11-23
  rules: [everything]
placements:
- {id: moved, applies: {family: mall}, group: instalment, rank: 5, collapsed: no, reason: {zh-CN: 调整, en: Moved}, since: 2026-11-23T12:00, notice: pause}
"""


def test_a_rule_with_everything_reads_as_what_it_says() -> None:
    snapshot = read(RULE)
    rule = snapshot.rules[0]
    assert rule.applies == Selector(families=("mall",), plans=("ccb_24",), legal_forms=("loan",))
    assert rule.when == Clause("customer.signed_in", "is", True)
    assert rule.require == All(
        (
            Clause("card.kind", "is", "credit"),
            Any(
                (
                    Clause("customer.tier", ">=", 3),
                    All((Clause("customer.tier", ">=", 1), Clause("customer.account_days", ">=", 365))),
                )
            ),
            Not(Clause("cart.has_coupon", "is", True)),
        )
    )
    assert rule.valid == Window(NOON - 43_200, NOON + 43_200 + 27 * 86_400)
    assert rule.blocked == Window(NOON, None)
    assert rule.daily == DailyWindow(1320, 120)
    assert rule.pending == Pending(
        Clause("funder.ccb.prequal", "is", "pending"), "funder.ccb.prequal_deadline"
    )
    assert (rule.unknown, rule.public, rule.change, rule.instead) == ("ask", "generic", "funder", ("card",))
    assert rule.detail is not None
    assert rule.detail.agent is not None
    assert snapshot.notices[0].until == NOON + 43_200
    assert snapshot.placements[0].rank == 5
    assert decode(encode(snapshot)) == snapshot
    compile_policy(snapshot)


def test_who_can_change_it_comes_from_the_reason_unless_the_rule_says() -> None:
    one = "rules:\n- {id: a, layer: cart, owner: x, reason: AMOUNT_LOW, applies: all, require: cart.amount >= ¥300}\n"
    assert read(one).rules[0].change == "cart"


def test_the_order_of_files_and_comments_do_not_change_the_digest() -> None:
    files = {"shop.yaml": SHOP, "b.yaml": RULE}
    other = {"b.yaml": "# a comment\n" + RULE, "shop.yaml": SHOP}
    assert read_policy(files) == read_policy(other)


BANK = """\
rules:
- id: ccb.card
  layer: agreement
  owner: payments
  reason: CARD_UNSUPPORTED
  applies: {funder: ccb}
  require:
"""


def test_a_typo_is_answered_with_its_place_and_what_was_perhaps_meant() -> None:
    text = BANK + "  - card.kind is credit\n  - any:\n    - card.bank is ccb\n    - card.bank is cbc\n"
    assert problems(text) == [
        "rules/banks.yaml:11:20: card.bank is cbc: not one of cmb, ccb, icbc; did you mean icbc?"
    ]
    result = read_policy({"shop.yaml": SHOP, "rules/banks.yaml": text})
    assert result.problems[0] == Problem(
        "rules/banks.yaml", 11, 20, "cbc", "card.bank is cbc: not one of cmb, ccb, icbc", "did you mean icbc?"
    )


def _rule(lines: str) -> str:
    return (
        "rules:\n- id: r\n  layer: strategy\n  owner: o\n  reason: STRATEGY_PAUSE\n  applies: all\n" + lines
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            _rule('  require: "cart.amount >= 500"\n'),
            ["7:28: cart.amount is money and 500 is a number: they cannot be compared; write ¥500.00"],
        ),
        (_rule("  require: ['customer.agee >= 18']\n"), ["7:14: customer.agee is not a fact; did you mean customer.age?"]),
        (
            _rule("  require: customer.age >= 18\n  require: customer.age >= 16\n"),
            ["8:3: require stands twice in a rule; keep one"],
        ),
        (_rule("  requires: customer.age >= 18\n"), ["2:3: the rule says nothing; write require, when, blocked or daily", "7:3: requires is not a key of a rule; did you mean require?"]),
        (_rule("  require:\n  - xor: []\n"), ["8:5: xor is not a key of require; keys are all, any, not"]),
        (_rule("  require: {any: customer.age >= 18}\n"), ["7:18: require.any is not a list; begin each clause with a dash"]),
        (_rule("  require: []\n"), ["7:12: require is an empty list; write a clause, or leave the key out"]),
        (_rule("  require: {all: [], any: []}\n"), ["7:12: require needs exactly one of all, any, not"]),
        (_rule("  require:\n"), ["2:3: the rule says nothing; write require, when, blocked or daily", "7:3: require is empty; write a value, or leave the key out"]),
        (_rule("  blocked: {from: 2026-12-01, to: 2026-11-01}\n"), ["7:35: blocked ends before it begins"]),
        (_rule("  blocked: {from: tomorrow}\n"), ["7:19: blocked.from: tomorrow is not a date or a time; write it like 2026-11-23 or 2026-11-23T02:00"]),
        (_rule("  blocked: {}\n"), ["7:12: blocked has neither from nor to"]),
        (_rule("  daily: {from: 01:00, to: 01:00}\n"), ["7:28: daily is over as it begins"]),
        (_rule("  daily: {from: 1:00, to: 04:30}\n"), ["7:17: daily.from: 1:00 is not a time of day; write it like 07:30"]),
        (_rule("  blocked: {from: 2026-11-01}\n  notice: pauze\n"), ["8:11: notice is pauze: there is no such entry in notices"]),
        (_rule("  blocked: {from: 2026-11-01}\n  instead: [mall_13]\n"), ["8:13: instead is mall_13: there is no such entry in plans; did you mean mall_3?"]),
        (_rule("  blocked: {from: 2026-11-01}\n  unknown: deny\n"), ["8:12: unknown is deny: not one of block, allow, ask"]),
        (_rule("  blocked: {from: 2026-11-01}\n  title: {en: Hi}\n"), ["8:10: title has no Chinese text; write zh-CN:"]),
        (_rule("  blocked: {from: 2026-11-01}\n  title: {zh-CN: 你好, en: }\n"), ["8:22: en is empty; write a value, or leave the key out"]),
        (_rule('  blocked: {from: 2026-11-01}\n  title: {zh-CN: "{mni:money}", en: "{mni:money}"}\n'), ["8:10: title has the gap {mni}: no reason has such a parameter; did you mean min?"]),
        (_rule('  blocked: {from: 2026-11-01}\n  title: {zh-CN: "{min:money}", en: "{min}"}\n'), ["8:10: title has not the same gaps in both languages"]),
        (_rule('  blocked: {from: 2026-11-01}\n  title: {zh-CN: "{min", en: "x"}\n'), ["8:10: title: text is {min: expected gaps like {min:money}; write a brace twice"]),
        (_rule("  blocked: {from: 2026-11-01}\n  pending: {when: card.kind is debit, deadline: cart.amount}\n"), ["8:49: cart.amount is money, not an instant"]),
        (
            "rules:\n- {id: r, layer: law, owner: o, reason: UNDERAGE, applies: all, require: customer.age >= 18}\n",
            ["2:3: a rule of the layer law has no unknown; write unknown: block, ask or allow, for when a fact is missing"],
        ),
        ("rules:\n- {id: r, layer: laws, owner: o, reason: UNDERAG, applies: al, blocked: {from: 2026-01-01}}\n",
         ["2:18: layer is laws: not one of law, compliance, agreement, risk, maintenance, health, strategy, cart, customer; did you mean law?",
          "2:42: reason is UNDERAG: there is no such code; did you mean UNDERAGE?",
          "2:60: applies is al: not all, nor keys such as plan or funder"]),
        ("rules:\n- {id: R 1, layer: cart, owner: o, reason: AMOUNT_LOW, applies: {funder: cbb}, blocked: {from: 2026-01-01}}\n",
         ["2:8: R 1 is not an id; ids are small letters, digits, _ (and . or - except in funders)",
          "2:74: applies.funder is cbb: there is no such entry in funders; did you mean ccb?"]),
        (_rule("  require: customer.consents has any of [cbb]\n"), ["7:12: customer.consents: cbb is no funder; did you mean ccb?"]),
        ("rules: {id: r}\n", ["1:8: rules is not a list; begin each entry with a dash"]),
        ("rulez: []\n", ["1:1: rulez is not a key of a policy file; did you mean rules?"]),
        ("rules:\n- &a plain\n- *a\n", None),
        ("rules:\n- !!python/object:os.system {}\n", None),
        ("rules: [\n", None),
        ("rules:\n\t- x\n", None),
        ("", ["1:1: the file is empty"]),
        ("just a text\n", None),
        ("placements:\n- {id: p, applies: {family: loan}, group: payment}\n",
         ["2:43: loan_12 is a loan and stands in the group payment: credit and payment tools are two groups, never one list (rule of 2026-09-30); write group: instalment"]),
        ("placements:\n- {id: p, applies: all, rank: 3, since: 2026-11-01}\n", ["2:3: a placement with a since has no reason; say why the option moved"]),
        ("facts:\n- {name: clock.moon, type: int, source: cart, label: {zh-CN: 月, en: Moon}}\n", ["2:10: clock.moon: facts of offer, clock, funder, budget and rollout are Fenqi's own"]),
        ("facts:\n- {name: merchant.kind, type: enum, source: cart, label: {zh-CN: 商户, en: Merchant}}\n", ["2:3: merchant.kind is an enum without values; write values: [a, b]"]),
    ],
)  # fmt: skip
def test_each_error_has_its_line_and_column(text: str, said: list[str] | None) -> None:
    found = problems(text)
    if said is None:
        assert found
        assert all(problem.startswith("rules/banks.yaml:") for problem in found)
    else:
        assert found == [f"rules/banks.yaml:{line}" for line in said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("currency: CNY", "currency: CNX", "currency is CNX: not one of AUD"),
        ("Asia/Shanghai", "Asia/Shangai", "time_zone is Asia/Shangai: not an IANA time zone; write Asia/Shanghai"),
        ("funder: ccb, name: {zh-CN: 建行分期", "funder: ccc, name: {zh-CN: 建行分期", "funder is ccc: there is no such entry in funders; did you mean ccb?"),
        ("family: loan, p", "family: lone, p", "family is lone: there is no such entry in families; did you mean loan?"),
        ("min: ¥500", "min: 500", "min is 500: an amount needs its currency; write 500 CNY"),
        ('max: "¥50,000"', "max: ¥50,000", '000 is not a key of an agreement; inside { } a comma ends an entry: write "¥5,000"'),
        ("min: ¥500", "min: ¥500000", "max is less than min"),
        ("to: 2026-12-31", "to: 2025-12-31", "the agreement ends before it begins"),
        ("rate_per_period: 0.6%", "rate_per_period: 0.006", "rate_per_period is 0.006: not a rate; write it like 24% or 0.6%"),
        ("rate_per_period: 0.6%", "annual_rate: 7%", "annual_rate has no meaning in flat_fee pricing"),
        ("rate_per_period: 0.6%", "rate_per_period: 0.6%, total_rate: 3%", "pricing is rate_per_period and total_rate: expected exactly one of the two"),
        ("periods: 24", "periods: 0", "periods is 0: expected 1 to 600"),
        ("legal_form: loan", "legal_form: lone", "legal_form is lone: not one of loan"),
        ("- {id: card, family: card", "- {id: mall_3, family: card", "mall_3 stands twice in plans; ids occur once"),
        ("own_book: yes", "own_book: maybe", "own_book is maybe: not one of no, yes, true, false"),
        ("format: fenqi/policy@1", "format: fenqi/policy@9", "format is fenqi/policy@9: not one of fenqi/policy@1"),
        ("format: fenqi/policy@1\n", "", "the file with the shop has no format; write format: fenqi/policy@1"),
        ("en: Mall}, time_zone", "e: Mall}, time_zone", "name has no English text; write en:"),
    ],
)  # fmt: skip
def test_the_shops_own_file_is_read_as_carefully(old: str, new: str, said: str) -> None:
    assert SHOP.count(old) >= 1
    found = problems("rules: []\n", SHOP.replace(old, new, 1))
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("shop.yaml:") for problem in found)


def test_all_problems_of_all_files_come_together_in_order() -> None:
    found = problems("rules:\n- {}\n- {id: x}\n", SHOP.replace("min: ¥500", "min: 500"))
    assert [problem.split(": ")[0] for problem in found] == sorted(
        (problem.split(": ")[0] for problem in found),
        key=lambda place: (place.split(":")[0], int(place.split(":")[1])),
    )
    assert found[-1].startswith("shop.yaml:9:")
    assert len(found) > 8


def test_the_page_about_the_language_shows_a_policy_that_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policy-language.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (sheet,) = re.findall(r"```\n(cart\.amount.*?)```", page, re.DOTALL)
    files = {f"{number}.yaml": block for number, block in enumerate(blocks)}
    result = read_policy({**files, "tables/terms.csv": sheet, "sets/banned.txt": "knife\n"})
    assert result.problems == ()
    assert result.snapshot is not None
    # Eleven in the files, and what the table comes to.
    assert [rule.id for rule in result.snapshot.rules[11:]] == [
        "table.terms.mall_3",
        "table.terms.mall_12",
        "table.terms.2",
    ]
    assert [version.version for version in result.snapshot.funders[-1].agreements] == ["v7", "v8"]
    results = run_examples(compile_policy(result.snapshot, result.sets))
    assert [result.sentence for result in results if not result.passed] == []
    assert len(results) == 3
    assert [budget.id for budget in result.snapshot.budgets] == ["interest_free"]
    night = next(notice for notice in result.snapshot.notices if notice.id == "mall-night")
    assert night.repayment is not None
    assert [terms.kind for terms in night.compensation] == ["price_protection", "voucher"]


def test_the_page_about_the_language_names_every_key() -> None:
    docs = Path(__file__).parents[3] / "docs"
    # What a plan's own keys hold is told on the pages that it leads to.
    pages = [docs / f"{name}.md" for name in ("policy-language", "terms", "leases")]
    page = "".join(page.read_text(encoding="utf-8") for page in pages)
    told = problems(
        """\
nothing: 1
funders: [{nothing_at_all: 1, agreement: {nothing_at_all: 1}}]
rules: [{nothing_at_all: 1}]
budgets: [{nothing_at_all: 1}]
tables: [{nothing_at_all: 1}]
sets: [{nothing_at_all: 1}]
placements: [{nothing_at_all: 1}]
notices: [{nothing_at_all: 1, repayment: {nothing_at_all: 1}, compensation: [{nothing_at_all: 1}]}]
plans: [{nothing_at_all: 1, pricing: {nothing_at_all: 1}, fees: [{nothing_at_all: 1}], bearers: {nothing_at_all: 1}}]
calendars: [{nothing_at_all: 1}]
"""
    )
    lists = [problem.split("keys are ")[1] for problem in told if "keys are " in problem]
    assert len(lists) == 16
    keys = {key for listed in lists for key in listed.split(", ")}
    assert len(keys) > 60
    assert [key for key in sorted(keys) if not re.search(rf"\b{re.escape(key)}\b", page)] == []


def test_two_shops_are_one_too_many() -> None:
    assert problems(SHOP) == [p for p in problems(SHOP) if p.startswith(("rules/banks.yaml:", "shop.yaml:"))]
    assert any("the shop is described twice" in problem for problem in problems(SHOP))
    result = read_policy({"a.yaml": "rules: []\n"})
    assert [str(problem) for problem in result.problems] == [
        "a.yaml:1:1: no file says which shop this is; write shop:"
    ]


def test_scalars_are_texts_until_their_field_types_them() -> None:
    snapshot = read(_rule("  require: [customer.student is no, clock.time not in 22:30..23:00]\n"))
    assert snapshot.rules[0].require == All(
        (
            Clause("customer.student", "is", False),
            snapshot.rules[0].require.parts[1],  # type: ignore[union-attr]
        )
    )


def test_a_shop_may_add_facts_and_name_more_banks() -> None:
    own = """\
facts:
- {name: merchant.kind, type: enum, values: [self, third], source: cart, label: {zh-CN: 商户, en: Merchant}}
- {name: card.bank, type: enum, values: [boc, ccb], source: card, label: {zh-CN: 发卡行, en: Bank}, changeable: yes}
rules:
- {id: r, layer: strategy, owner: o, reason: ITEM_EXCLUDED, applies: all, require: [merchant.kind is self, card.bank is boc]}
"""
    assert read(own).facts[1].changeable
    column = own.splitlines()[4].index("self,") + 1
    assert problems(own.replace("is self", "is selv")) == [
        f"rules/banks.yaml:5:{column}: merchant.kind is selv: not one of self, third; did you mean self?"
    ]


def test_a_folder_is_read_with_its_subfolders(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "shop.yaml").write_text("\ufeff" + SHOP, encoding="utf-8")
    (tmp_path / "rules" / "banks.yml").write_text(RULE, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a policy", encoding="utf-8")
    assert load_policy(tmp_path).snapshot == read(RULE)
    (tmp_path / "rules" / "bad.yaml").write_bytes(b"rules:\n- \xff\n")
    assert [str(problem) for problem in load_policy(tmp_path).problems] == [
        "rules/bad.yaml:2:1: the file is not UTF-8; save it as UTF-8"
    ]


def test_an_empty_folder_is_no_policy(tmp_path: Path) -> None:
    assert "there is no policy here" in str(load_policy(tmp_path).problems[0])


def test_deep_nesting_is_refused_and_does_not_break_anything() -> None:
    deep = "  require: " + "{not: " * 30 + "customer.age >= 18" + "}" * 30 + "\n"
    assert "nested more than 16 deep" in problems(_rule(deep))[0]
    assert problems(_rule("  require: " + "[" * 5000 + "]" * 5000 + "\n"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_a_file_holds_it_is_read_or_refused(data: st.DataObject) -> None:
    lines = (SHOP + RULE.replace("rules:", "rules:", 1)).splitlines()
    count = data.draw(st.integers(1, 3))
    for _ in range(count):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "cut", "junk", "swap"]))
        if how == "drop":
            lines[at] = ""
        elif how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif how == "junk":
            lines[at] += data.draw(st.text(max_size=8))
        else:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
    result = read_policy({"a.yaml": "\n".join(lines)})
    assert (result.snapshot is None) == bool(result.problems)
    for problem in result.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            "require: !!python/name:os.system cart.amount >= ¥3",
            "the tag tag:yaml.org,2002:python/name:os.system",
        ),
        ("require: !!binary aGk=", "the tag tag:yaml.org,2002:binary has no place"),
        ("require: cart.amount >= ¥3, title: {? [a] : b}", "? is not a key of title"),
        ("require: cart.amount >= ¥3, title: {? {x: y} : b}", "? is not a key of title"),
        ('require: "cart.amount >= ¥%s1"' % ("0" * 5000), ""),
        ("blocked: {from: 2026-01-01, to: 9999-12-31}", "is not of the years 1900 to 2999; leave out"),
        ('blocked: {from: "0001-01-01T00:00"}', "is not of the years 1900 to 2999; leave out"),
        (
            'blocked: {from: 2026-01-01}, detail: {zh-CN: "{until}", en: "{until}"}',
            "detail has the gap {until} not as instant; write {until:instant}",
        ),
    ],
)
def test_what_would_only_fail_at_a_checkout_is_said_here(fields: str, message: str) -> None:
    found = problems(
        f"rules:\n- {{id: x, layer: cart, owner: a, reason: AMOUNT_LOW, applies: all, {fields}}}\n"
    )
    assert (len(found) > 0) == bool(message)
    assert not message or any(message in line for line in found)


def test_a_fact_is_described_once_and_keeps_what_it_was_marked_as() -> None:
    again = "{name: customer.overdue, type: bool, source: ours, label: {zh-CN: 有欠款, en: in arrears}}"
    (fact,) = read(f"facts: [{again}]\n").facts
    assert fact.personal
    assert not fact.changeable
    assert any(
        "customer.overdue stands twice in facts" in line for line in problems(f"facts: [{again}, {again}]\n")
    )


def test_no_file_of_a_policy_is_silently_left_out(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "rules.YAML").write_text("rules: [nonsense]\n", encoding="utf-8")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    assert [problem.file for problem in load_policy(tmp_path).problems] == ["gone.yml"]
    (tmp_path / "gone.yml").unlink()
    assert {problem.file for problem in load_policy(tmp_path).problems} == {"rules.YAML"}
