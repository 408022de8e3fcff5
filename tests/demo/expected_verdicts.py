"""What the demo mall has to answer, written down by hand from the intent below, before any policy file.

The shop (2026-11, Asia/Shanghai, CNY) means the following. Nothing here was copied from the program's output.

Ways to pay
    商城分期 mall_3, mall_6 (no interest, the shop bears it), mall_12 (0.6 % a period): the shop's own instalment
    sale, decided here. From ¥300, at most ¥20,000.
    云钱包分期 cloudpay_3, _6, _12 (2.3, 4.5, 7.5 % in all): a loan of a wallet, decided on its page. ¥100 to ¥8,000.
    听潮银行 tingchao_3 ... _24 (0.55 % a period): card instalments, only with that bank's credit card. ¥500 to ¥50,000.
    北辰银行 beichen_3 ... _24 (0.6 % a period): the same with the other bank's card. ¥600 to ¥30,000.
    禾安消费金融 hean_12 (annuity, 18 % a year): a consumer-finance loan; the lender assesses the customer beforehand,
    and only after the customer has agreed that data go to it. ¥1,000 to ¥20,000.
    card_full, cloudpay_full: the whole price at once, by card or from the wallet's balance.

Rules, in the order in which reasons are shown
    law          Credit is for adults. A student gets no loan (wallet, consumer finance); card instalments and the shop's
                 own instalment sale are not loans.
    compliance   No credit for a blind box or a pledge. The shop's own credit and the consumer-finance loan need a verified
                 name; the loan also the customer's consent. No offer of credit costs more than 24 % a year.
    agreement    Each funder's amounts, terms, dates and ceiling. Card instalments need the bank's own credit card; while the
                 card is not known, the customer is asked. The wallet does not open in the mini program (neither does
                 paying from its balance); the consumer-finance loan is for the web and the app only. The wallet's 3
                 instalments were taken out by a changed agreement on 2026-11-15, with no end known.
    risk         Whoever is behind with the shop gets neither the shop's own credit nor the consumer-finance loan. A held
                 account gets no credit. The lender's "declined" blocks its loan; its "pending" is waited for.
    maintenance  商城分期 rests from 2026-11-23 22:00 to 2026-11-24 02:00. 北辰银行 rests daily from 23:30 to 00:30.
    health       A funder that is down is not offered; one whose health is not known is.
    strategy     beichen_24 is paused from 2026-11-10 to 2026-12-01.
    cart         商城分期 from ¥300. No coupon with the shop's interest-free terms. Blind boxes beside goods: split the order.
    customer     商城分期 needs signing in, an opened credit line, and enough of it left.

Customers
    new         opened the account today: name not verified, no line, no consent, no card known
    student     17, verified, no line, a debit card of 北辰银行
    good        line ¥20,000, all of it free; a 听潮银行 credit card; approved by 禾安; last used 商城分期
    overdue     line ¥15,000, one instalment past due; a 北辰银行 credit card; declined by 禾安
    over_limit  line ¥8,000 of which ¥5,999 are in use; a 听潮银行 credit card; 禾安 answers by 18:00 (and then approves)

How to read a row: plans, state, all reason codes in the order of the layers (codes of one layer in any order), then
`until` where, and only where, a date is known on which nothing stands in the way any more; `asks` are the facts the
customer is asked for; `instead` are the first alternatives with their difference in fen, nearest first.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["ALTERNATIVES", "CARTS", "EXPECTED", "SITUATIONS", "Row"]


class Row(msgspec.Struct, frozen=True):
    """The verdict on some plans: `until` is an instant as people write it, in the shop's zone, or no date."""

    plans: str
    state: str
    reasons: str = ""
    until: str | None = None
    asks: str = ""


# sku, title, category, kind, quantity, price in fen, seller
CARTS: Final = {
    "phone": (("a-phone", "Phone", "phones", "goods", 1, 499_900, "mall"),),
    "foldable": (("a-foldable", "Foldable", "phones", "goods", 1, 999_900, "mall"),),
    "accessory": (("a-case", "Case", "accessories", "goods", 1, 14_900, "mall"),),
    "blind_box": (("a-blind-box", "Figures, 12 boxes", "toys", "blind_box", 1, 59_900, "mall"),),
    "mixed": (
        ("a-phone", "Phone", "phones", "goods", 1, 499_900, "mall"),
        ("a-blind-box", "Figures, 12 boxes", "toys", "blind_box", 1, 59_900, "mall"),
    ),
}

# cart, channel, local time
SITUATIONS: Final = {
    "phone at 10:00": ("phone", "web", "2026-11-23T10:00:00"),
    "phone at 22:30": ("phone", "web", "2026-11-23T22:30:00"),
    "phone at 23:45": ("phone", "web", "2026-11-23T23:45:00"),
    "phone in December": ("phone", "web", "2026-12-01T00:30:00"),
    "foldable": ("foldable", "app", "2026-11-23T10:00:00"),
    "blind box": ("blind_box", "web", "2026-11-23T10:00:00"),
    "phone and blind box": ("mixed", "web", "2026-11-23T10:00:00"),
    "accessory": ("accessory", "web", "2026-11-23T10:00:00"),
    "phone in the mini program": ("phone", "mini_program", "2026-11-23T10:00:00"),
    "phone in a store": ("phone", "store", "2026-11-23T10:00:00"),
}

FULL = "card_full cloudpay_full"
MALL = "mall_3 mall_6 mall_12"
MAINTAINED = "2026-11-24T02:00:00"
# The pause ends at 00:00, while the bank rests from 23:30 to 00:30: only then does nothing stand in the way. (Written as
# 00:00 at first for the daytime rows; the engine looked past the first date and was right.)
PAUSED = "2026-12-01T00:30:00"
CARD = "card.bank card.kind"

EXPECTED: Final[dict[str, dict[str, tuple[Row, ...]]]] = {
    "new": {
        "phone at 10:00": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "REALNAME_REQUIRED CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED", asks=CARD
            ),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED", asks=CARD),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE", asks=CARD),
            Row("hean_12", "unavailable", "REALNAME_REQUIRED CONSENT_MISSING"),
        ),
        "phone at 22:30": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "REALNAME_REQUIRED MAINTENANCE CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED", asks=CARD
            ),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED", asks=CARD),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE", asks=CARD),
            Row("hean_12", "unavailable", "REALNAME_REQUIRED CONSENT_MISSING"),
        ),
        "blind box": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "ITEM_BLIND_BOX REALNAME_REQUIRED CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "ITEM_BLIND_BOX AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "ITEM_BLIND_BOX"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24",
                "unavailable",
                "ITEM_BLIND_BOX CARD_UNSUPPORTED",
                asks=CARD,
            ),
            Row(
                "beichen_3 beichen_6 beichen_12",
                "unavailable",
                "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED",
                asks=CARD,
            ),
            Row(
                "beichen_24",
                "unavailable",
                "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE",
                asks=CARD,
            ),
            Row("hean_12", "unavailable", "ITEM_BLIND_BOX REALNAME_REQUIRED CONSENT_MISSING AMOUNT_LOW"),
        ),
        "accessory": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "REALNAME_REQUIRED AMOUNT_LOW CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24 beichen_3 beichen_6 beichen_12",
                "unavailable",
                "AMOUNT_LOW CARD_UNSUPPORTED",
                asks=CARD,
            ),
            Row("beichen_24", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE", asks=CARD),
            Row("hean_12", "unavailable", "REALNAME_REQUIRED CONSENT_MISSING AMOUNT_LOW"),
        ),
        "phone in the mini program": (
            Row("card_full", "funder_decides"),
            Row("cloudpay_full", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(MALL, "unavailable", "REALNAME_REQUIRED CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "CHANNEL_UNSUPPORTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED", asks=CARD
            ),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED", asks=CARD),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE", asks=CARD),
            Row("hean_12", "unavailable", "REALNAME_REQUIRED CONSENT_MISSING CHANNEL_UNSUPPORTED"),
        ),
    },
    "student": {
        "phone at 10:00": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "UNDERAGE CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "UNDERAGE STUDENT_RESTRICTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED CONSENT_MISSING"),
        ),
        "phone at 22:30": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "UNDERAGE MAINTENANCE CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "UNDERAGE STUDENT_RESTRICTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED CONSENT_MISSING"),
        ),
        "blind box": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "UNDERAGE ITEM_BLIND_BOX CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "UNDERAGE STUDENT_RESTRICTED ITEM_BLIND_BOX AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED ITEM_BLIND_BOX"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24",
                "unavailable",
                "UNDERAGE ITEM_BLIND_BOX CARD_UNSUPPORTED",
            ),
            Row(
                "beichen_3 beichen_6 beichen_12",
                "unavailable",
                "UNDERAGE ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED",
            ),
            Row(
                "beichen_24",
                "unavailable",
                "UNDERAGE ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE",
            ),
            Row(
                "hean_12",
                "unavailable",
                "UNDERAGE STUDENT_RESTRICTED ITEM_BLIND_BOX CONSENT_MISSING AMOUNT_LOW",
            ),
        ),
        "accessory": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "UNDERAGE AMOUNT_LOW CREDIT_NOT_OPENED"),
            Row("cloudpay_3", "unavailable", "UNDERAGE STUDENT_RESTRICTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24 beichen_3 beichen_6 beichen_12",
                "unavailable",
                "UNDERAGE AMOUNT_LOW CARD_UNSUPPORTED",
            ),
            Row("beichen_24", "unavailable", "UNDERAGE AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED CONSENT_MISSING AMOUNT_LOW"),
        ),
        "phone in the mini program": (
            Row("card_full", "funder_decides"),
            Row("cloudpay_full", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(MALL, "unavailable", "UNDERAGE CREDIT_NOT_OPENED"),
            Row(
                "cloudpay_3",
                "unavailable",
                "UNDERAGE STUDENT_RESTRICTED CHANNEL_UNSUPPORTED AGREEMENT_ADJUST",
            ),
            Row("cloudpay_6 cloudpay_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED CHANNEL_UNSUPPORTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "UNDERAGE CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "UNDERAGE CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "UNDERAGE STUDENT_RESTRICTED CONSENT_MISSING CHANNEL_UNSUPPORTED"),
        ),
    },
    "good": {
        "phone at 10:00": (
            Row(FULL, "funder_decides"),
            Row(MALL, "available"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "funder_decides"),
        ),
        "phone at 22:30": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "MAINTENANCE", until=MAINTAINED),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "funder_decides"),
        ),
        "phone at 23:45": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "MAINTENANCE", until=MAINTAINED),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED MAINTENANCE"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED MAINTENANCE STRATEGY_PAUSE"),
            Row("hean_12", "funder_decides"),
        ),
        "foldable": (
            Row(FULL, "funder_decides"),
            Row(MALL, "available"),
            Row("cloudpay_3", "unavailable", "AMOUNT_HIGH AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "AMOUNT_HIGH"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "funder_decides"),
        ),
        "blind box": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "ITEM_BLIND_BOX"),
            Row("cloudpay_3", "unavailable", "ITEM_BLIND_BOX AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "ITEM_BLIND_BOX"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "ITEM_BLIND_BOX"),
            Row(
                "beichen_3 beichen_6 beichen_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED"
            ),
            Row("beichen_24", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW"),
        ),
        "phone and blind box": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "ITEM_BLIND_BOX CART_MIXED"),
            Row("cloudpay_3", "unavailable", "ITEM_BLIND_BOX AGREEMENT_ADJUST CART_MIXED"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "ITEM_BLIND_BOX CART_MIXED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "ITEM_BLIND_BOX CART_MIXED"),
            Row(
                "beichen_3 beichen_6 beichen_12", "unavailable", "ITEM_BLIND_BOX CARD_UNSUPPORTED CART_MIXED"
            ),
            Row("beichen_24", "unavailable", "ITEM_BLIND_BOX CARD_UNSUPPORTED STRATEGY_PAUSE CART_MIXED"),
            Row("hean_12", "unavailable", "ITEM_BLIND_BOX CART_MIXED"),
        ),
        "accessory": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "AMOUNT_LOW"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "AMOUNT_LOW"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "AMOUNT_LOW"),
        ),
        "phone in the mini program": (
            Row("card_full", "funder_decides"),
            Row("cloudpay_full", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(MALL, "available"),
            Row("cloudpay_3", "unavailable", "CHANNEL_UNSUPPORTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "CHANNEL_UNSUPPORTED"),
        ),
        "phone in a store": (
            Row(FULL, "funder_decides"),
            Row(MALL, "available"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "CHANNEL_UNSUPPORTED"),
        ),
    },
    "overdue": {
        "phone at 10:00": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "funder_decides"),
            Row("beichen_24", "unavailable", "STRATEGY_PAUSE", until=PAUSED),
            Row("hean_12", "unavailable", "OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "phone at 22:30": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS MAINTENANCE"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "funder_decides"),
            Row("beichen_24", "unavailable", "STRATEGY_PAUSE", until=PAUSED),
            Row("hean_12", "unavailable", "OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "phone at 23:45": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS MAINTENANCE"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "MAINTENANCE", until="2026-11-24T00:30:00"),
            Row("beichen_24", "unavailable", "MAINTENANCE STRATEGY_PAUSE", until=PAUSED),
            Row("hean_12", "unavailable", "OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "phone in December": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED"),
            # 00:30 is the first minute after the bank's rest, and the pause of beichen_24 is over.
            Row("beichen_3 beichen_6 beichen_12 beichen_24", "funder_decides"),
            Row("hean_12", "unavailable", "OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "blind box": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "ITEM_BLIND_BOX OVERDUE_EXISTS"),
            Row("cloudpay_3", "unavailable", "ITEM_BLIND_BOX AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "ITEM_BLIND_BOX"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24",
                "unavailable",
                "ITEM_BLIND_BOX CARD_UNSUPPORTED",
            ),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW"),
            Row("beichen_24", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "accessory": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS AMOUNT_LOW"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row(
                "tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED"
            ),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "AMOUNT_LOW"),
            Row("beichen_24", "unavailable", "AMOUNT_LOW STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "AMOUNT_LOW OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
        "phone in the mini program": (
            Row("card_full", "funder_decides"),
            Row("cloudpay_full", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(MALL, "unavailable", "OVERDUE_EXISTS"),
            Row("cloudpay_3", "unavailable", "CHANNEL_UNSUPPORTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_3 beichen_6 beichen_12", "funder_decides"),
            Row("beichen_24", "unavailable", "STRATEGY_PAUSE", until=PAUSED),
            Row("hean_12", "unavailable", "CHANNEL_UNSUPPORTED OVERDUE_EXISTS PREQUAL_DECLINED"),
        ),
    },
    "over_limit": {
        "phone at 10:00": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "LINE_INSUFFICIENT"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            # 禾安 has not answered yet: its answer is due at 18:00.
            Row("hean_12", "pending", until="2026-11-23T18:00:00"),
        ),
        "phone at 22:30": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "MAINTENANCE LINE_INSUFFICIENT"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "funder_decides"),
        ),
        "blind box": (
            Row(FULL, "funder_decides"),
            # ¥599 fits what is left of the line.
            Row(MALL, "unavailable", "ITEM_BLIND_BOX"),
            Row("cloudpay_3", "unavailable", "ITEM_BLIND_BOX AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "ITEM_BLIND_BOX"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "ITEM_BLIND_BOX"),
            Row(
                "beichen_3 beichen_6 beichen_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED"
            ),
            Row("beichen_24", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE"),
            # What blocks for certain outweighs an answer that is still on its way.
            Row("hean_12", "unavailable", "ITEM_BLIND_BOX AMOUNT_LOW"),
        ),
        "accessory": (
            Row(FULL, "funder_decides"),
            Row(MALL, "unavailable", "AMOUNT_LOW"),
            Row("cloudpay_3", "unavailable", "AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "funder_decides"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "unavailable", "AMOUNT_LOW"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "AMOUNT_LOW CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "AMOUNT_LOW"),
        ),
        "phone in the mini program": (
            Row("card_full", "funder_decides"),
            Row("cloudpay_full", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row(MALL, "unavailable", "LINE_INSUFFICIENT"),
            Row("cloudpay_3", "unavailable", "CHANNEL_UNSUPPORTED AGREEMENT_ADJUST"),
            Row("cloudpay_6 cloudpay_12", "unavailable", "CHANNEL_UNSUPPORTED"),
            Row("tingchao_3 tingchao_6 tingchao_12 tingchao_24", "funder_decides"),
            Row("beichen_3 beichen_6 beichen_12", "unavailable", "CARD_UNSUPPORTED"),
            Row("beichen_24", "unavailable", "CARD_UNSUPPORTED STRATEGY_PAUSE"),
            Row("hean_12", "unavailable", "CHANNEL_UNSUPPORTED"),
        ),
    },
}

# Fees on ¥4,999.00, worked out by hand (principal x rate, half to even): mall_12 7.2 % 359.93, cloudpay_6 4.5 % 224.96
# (22495.5 goes to the even fen), cloudpay_12 7.5 % 374.92 (37492.5 likewise), tingchao_3 1.65 % 82.48, tingchao_6 3.3 %
# 164.97, tingchao_12 6.6 % 329.93, tingchao_24 13.2 % 659.87, beichen_6 3.6 % 179.96, beichen_12 7.2 % 359.93,
# beichen_24 14.4 % 719.86; cloudpay_3 2.3 % 114.98; mall_3, mall_6 and the full payments cost nothing.
# What the rule names comes first; then the same number of instalments, then the nearest, the cheaper first; ways of
# the plan's own group before the others. If none of three is without extra cost and there is one, it takes the last place.
ALTERNATIVES: Final[dict[tuple[str, str, str], tuple[tuple[str, int], ...]]] = {
    ("good", "phone at 22:30", "mall_3"): (("tingchao_3", 8248), ("tingchao_6", 16497), ("card_full", 0)),
    ("good", "phone at 10:00", "cloudpay_3"): (("mall_3", -11498), ("tingchao_3", -3250), ("mall_6", -11498)),
    ("good", "phone at 10:00", "beichen_24"): (
        ("tingchao_24", -5999),
        ("tingchao_12", -38993),
        ("mall_12", -35993),
    ),
    ("overdue", "phone at 10:00", "beichen_24"): (
        ("beichen_12", -35993),
        ("cloudpay_12", -34494),
        ("beichen_6", -53990),
    ),
    ("overdue", "phone at 10:00", "mall_12"): (
        ("beichen_12", 0),
        ("cloudpay_12", 1499),
        ("beichen_6", -17997),
    ),
    ("new", "phone at 10:00", "mall_12"): (
        ("cloudpay_12", 1499),
        ("cloudpay_6", -13497),
        ("card_full", -35993),
    ),
    ("student", "phone at 10:00", "mall_12"): (("card_full", -35993), ("cloudpay_full", -35993)),
    ("good", "blind box", "mall_3"): (("card_full", 0), ("cloudpay_full", 0)),
    ("good", "phone in the mini program", "cloudpay_full"): (
        ("card_full", 0),
        ("mall_3", 0),
        ("tingchao_3", 8248),
    ),
}
# 听潮 is ¥30.00 cheaper than the shop's own 12, the wallet ¥14.99 dearer; the third, the consumer-finance loan (18 % a
# year, so about ¥500 in fees), is dearest. Only its name is written down: its figure is the lender's.
ORDER_AT_2230: Final = (("tingchao_12", -3000), ("cloudpay_12", 1499), ("hean_12", None))
