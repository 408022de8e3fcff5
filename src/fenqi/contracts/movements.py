"""Movements: what an event did to a contract, economically, before any account is named.

`fenqi.ledger.entries` says which accounts a movement debits and credits. A negative amount undoes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Movement", "MovementKind"]

MovementKind = Literal[
    "sold",
    "sold_for_others",
    "principal_paid",
    "fee_earned",
    "fee_charged",
    "fee_paid",
    "fee_waived",
    "fee_returned",
    "charge_returned",
    "interest_earned",
    "interest_paid",
    "interest_waived",
    "interest_returned",
    "penalty_charged",
    "penalty_paid",
    "penalty_waived",
    "penalty_returned",
    "unapplied",
    "unapplied_refunded",
    "reclaimed",
    "goodwill",
    "goodwill_unapplied",
    "returned",
    "returned_for_others",
    "refund_due",
    "refund_due_for_others",
    "refunded",
    "written_off_principal",
    "written_off_interest",
    "written_off_fee",
    "written_off_charge",
    "written_off_penalty",
    "written_off_rent",
    "recovered",
    "collection_cost",
    "subsidy_granted",
    "subsidy_earned",
    "deposit_held",
    "deposit_released",
    "deposit_applied",
    "deposit_applied_rent",
    "deposit_forfeited",
    "rent_earned",
    "rent_paid",
    "rent_waived",
    "leased",
    "depreciated",
    "asset_lost",
    "bought_out",
    "cost_of_sale",
    "depreciation_cleared",
]


class Movement(msgspec.Struct, frozen=True, gc=False):
    """What one event did, economically. Negative where it undoes something.

    `row` is None where a movement belongs to no row (a sale; money that nothing was owed for).
    """

    event_seq: int
    kind: MovementKind
    amount_minor: int
    row: int | None = None
