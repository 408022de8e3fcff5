"""Changes to the demo's policy as an operator would write them, each with who is hit, said by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fenqi.policy.document import load_policy
from fenqi.policy.snapshot import Snapshot

__all__ = ["CHANGES", "Asked", "Published", "snapshot_with"]

NOTICE = """
notices:
  - id: {id}
    title: {{zh-CN: 测试变更, en: A change to test}}
    reason: {{zh-CN: 测试原因, en: A reason to test}}
    affected: {{zh-CN: 受影响的订单, en: Orders that it touches}}
    unaffected: {{zh-CN: 其他订单, en: All other orders}}
    since: 2026-11-24T12:00
{more}
"""
WINDOW = "    blocked: {from: 2026-11-24T12:00, to: 2026-11-24T20:00}\n"
UNTIL = "    until: 2026-11-24T20:00"


@dataclass(frozen=True)
class Asked:
    """One customer with one cart, somewhere."""

    running_contract: bool
    card_bank: str | None
    amount_minor: int
    kinds: frozenset[str]
    channel: str
    region: str | None
    coupon: bool


@dataclass(frozen=True)
class Published:
    """A change: its YAML, and whom of those in its plans, channels and regions it hits, by hand and not by the engine."""

    id: str
    rules: str
    hits: Callable[[Asked], bool]
    until: str = UNTIL

    @property
    def text(self) -> str:
        return "format: fenqi/policy@1\n" + self.rules + NOTICE.format(id=self.id, more=self.until)


def _rule(body: str, *, reason: str = "MAINTENANCE", layer: str = "maintenance", window: str = WINDOW) -> str:
    return f"rules:\n  - id: test.change\n    layer: {layer}\n    owner: test\n    reason: {reason}\n    notice: {{id}}\n{window}{body}"


def _named(id: str, rules: str) -> str:
    return rules.replace("{id}", id)


def _change(id: str, rules: str, hits: Callable[[Asked], bool], until: str = UNTIL) -> Published:
    return Published(id, _named(id, rules), hits, until)


CHANGES = (
    _change("whole-window", _rule("    applies: {funder: mall}\n"), lambda asked: True),
    _change(
        "app-only",
        _rule("    applies: {plans: [tingchao_12, tingchao_24]}\n    when: channel.kind is app\n"),
        lambda asked: True,  # the channel stands in the impact itself
    ),
    _change(
        "not-on-the-web",
        _rule("    applies: {family: beichen}\n    require: channel.kind in [web]\n"),
        lambda asked: True,
    ),
    _change(
        "one-province",
        _rule("    applies: {funder: tingchao}\n    when: region.ship_to in [GD, GX]\n    unknown: allow\n"),
        lambda asked: asked.region is not None,
    ),
    _change(
        "app-in-one-province",
        _rule(
            "    applies: {plan: tingchao_12}\n    when:\n      - channel.kind is app\n      - region.ship_to is GD\n    unknown: allow\n"
        ),
        lambda asked: asked.region is not None,
    ),
    _change(
        "new-customers",
        _rule(
            "    applies: {family: mall}\n    when: customer.has_running_contract is no\n",
            reason="AGREEMENT_ADJUST",
            layer="agreement",
            window="    blocked: {from: 2026-11-24T12:00}\n",
        ),
        lambda asked: not asked.running_contract,
        until="    next_update: 2026-11-27T10:00",
    ),
    _change(
        "large-orders",
        _rule(
            "    applies: {plans: [mall_6, mall_12]}\n    require: cart.amount <= ¥3,000\n",
            reason="STRATEGY_PAUSE",
            layer="strategy",
        ),
        lambda asked: asked.amount_minor > 300_000,
    ),
    _change(
        "large-orders-in-the-app",
        _rule(
            "    applies: {family: cloudpay}\n    when:\n      - channel.kind is app\n      - cart.amount >= ¥4,000\n",
            reason="STRATEGY_PAUSE",
            layer="strategy",
        ),
        lambda asked: asked.amount_minor >= 400_000,
    ),
    _change(
        "either",
        _rule(
            "    applies: {family: card}\n    when:\n      any:\n        - cart.kinds has any of [blind_box]\n        - cart.amount > ¥4,500\n",
            reason="STRATEGY_PAUSE",
            layer="strategy",
        ),
        lambda asked: "blind_box" in asked.kinds or asked.amount_minor > 450_000,
    ),
    _change(
        "every-night",
        _rule(
            "    applies: {family: tingchao}\n",
            window='    daily: {from: "22:30", to: "01:15"}\n    valid: {from: 2026-11-24T12:00}\n',
        ),
        lambda asked: True,
        until="",
    ),
    _change(
        "with-coupons",
        _rule(
            "    applies: {plans: [mall_3, mall_12]}\n    when: cart.has_coupon is yes\n",
            reason="STRATEGY_PAUSE",
            layer="strategy",
        ),
        lambda asked: asked.coupon,
    ),
    _change(
        "lower",
        "placements:\n  - {id: test.lower, applies: {family: mall}, rank: 190, since: 2026-11-24T12:00, notice: {id},\n"
        "     reason: {zh-CN: 测试, en: Test}}\n",
        lambda asked: True,
        until="",
    ),
)


def snapshot_with(change: Published, folder: Path) -> Snapshot:
    """The demo's policy with the change, read from files as any policy is."""
    shutil.copytree(str(files("fenqi_server.demo") / "policy"), folder, dirs_exist_ok=True)
    (folder / "90-change.yaml").write_text(change.text)
    result = load_policy(folder)
    assert result.snapshot is not None, "; ".join(str(problem) for problem in result.problems)
    return result.snapshot
