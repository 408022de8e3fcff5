from __future__ import annotations

from fenqi.policy.compile import place
from fenqi.policy.placement import Placed
from fenqi.policy.snapshot import Placement, Selector

from .policies import DAY, NOON, policy_of, words

MALL = Selector(families=("mall",))


def test_by_default_credit_and_payment_are_two_groups_in_the_order_written() -> None:
    places = place(policy_of(), NOON)
    assert {plan: (placed.group, placed.rank) for plan, placed in places.items()} == {
        "mall_3": ("instalment", 100),
        "mall_12": ("instalment", 100),
        "ccb_6": ("instalment", 110),
        "ccb_24": ("instalment", 110),
        "card": ("payment", 120),
    }
    assert all(placed.since is None and not placed.collapsed for placed in places.values())


def test_the_later_placement_is_in_force_and_keeps_what_it_leaves_out() -> None:
    policy = policy_of(
        placements=(
            Placement(id="later", applies=MALL, rank=900, reason=words("moved"), since=NOON, notice="n"),
            Placement(
                id="earlier", applies=MALL, rank=5, collapsed=True, reason=words("less"), since=NOON - DAY
            ),
        )
    )
    assert place(policy, NOON - DAY - 1)["mall_3"] == Placed("mall_3", "instalment", 100)
    assert place(policy, NOON - 1)["mall_3"].rank == 5
    now = place(policy, NOON)["mall_3"]
    assert (now.rank, now.collapsed, now.since, now.notice, now.placement) == (900, True, NOON, "n", "later")
    assert now.reason == words("moved")
    assert place(policy, NOON)["ccb_6"].rank == 110


def test_a_placement_without_a_date_has_always_been() -> None:
    policy = policy_of(
        placements=(
            Placement(id="b", applies=MALL, rank=7, since=NOON),
            Placement(id="a", applies=Selector(plans=("mall_3",)), rank=1),
        )
    )
    assert place(policy, 0)["mall_3"].rank == 1
    assert place(policy, NOON)["mall_3"].rank == 7


def test_of_two_from_the_same_instant_the_one_written_last_counts() -> None:
    policy = policy_of(
        placements=(
            Placement(id="a", applies=MALL, rank=1, since=NOON),
            Placement(id="b", applies=MALL, rank=2, since=NOON),
        )
    )
    assert place(policy, NOON)["mall_3"].rank == 2
