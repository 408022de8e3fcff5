"""How a statement is laid out: a value, declared once for each bank, wallet or funder.

Two layouts of real providers are shipped, and a plain one of our own. Any other is a JSON file of the same shape, so that a
new provider is data and no code.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fenqi.problems import BadInput

__all__ = ["LAYOUTS", "Kind", "Layout", "LayoutWrong", "decode_layout", "layout_of"]

Encoding = Literal["utf-8", "gb18030"]


class LayoutWrong(BadInput):
    """A layout that cannot be read, or names nothing we know."""


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines of one kind: where their reference and amount stand, and which way the money went.

    `values` are what `Layout.kind_column` says for them; empty where a layout has one kind only. `sign`: `as_written`; `in`
    and `out` go by the kind, whatever sign is written.
    """

    values: tuple[str, ...] = ()
    reference: str
    amount: str
    sign: Literal["as_written", "in", "out"] = "as_written"


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement's shape.

    `header_rows` are skipped before the row of column names; lines that begin with `comment` are never rows. From a row that
    begins with `footer` on, or in the last `footer_rows`, nothing is a line; `footer_count` names the footer's column that
    says how many lines there are, which is held against those read. `field_prefix` is taken off each field.
    `date_format` is as Python's `strptime` has it, and of the shop's own zone. `amount_unit` is `major` (yuan) or `minor`
    (fen). `fee_sign` is `cost` where a fee that we pay is written positive, `signed` where it is negative.
    """

    name: str
    encodings: tuple[Encoding, ...] = ("utf-8",)
    delimiter: str = ","
    comment: str = ""
    field_prefix: str = ""
    header_rows: int = 0
    footer: str = ""
    footer_rows: int = 0
    footer_count: str = ""
    date: str
    date_format: str
    kinds: tuple[Kind, ...]
    kind_column: str = ""
    party: str = ""
    currency: str = ""
    fee: str = ""
    fee_sign: Literal["cost", "signed"] = "cost"
    amount_unit: Literal["major", "minor"] = "major"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be there."""
        named = [self.date, self.kind_column, self.party, self.currency, self.fee]
        for kind in self.kinds:
            named += [kind.reference, kind.amount]
        return tuple(dict.fromkeys(name for name in named if name))


LAYOUTS: Final[dict[str, Layout]] = {
    layout.name: layout
    for layout in (
        # The bill of trades (业务明细) that Alipay's open platform lets a shop download: GBK, comments with #.
        Layout(
            name="alipay",
            encodings=("gb18030",),
            comment="#",
            date="完成时间",
            date_format="%Y-%m-%d %H:%M:%S",
            kind_column="业务类型",
            kinds=(
                Kind(values=("交易",), reference="商户订单号", amount="商家实收（元）", sign="in"),
                Kind(values=("退款",), reference="退款批次号/请求号", amount="商家实收（元）", sign="out"),
            ),
            party="对方账户",
            fee="服务费（元）",
            fee_sign="signed",
        ),
        # The trade bill (交易账单, kind ALL) of WeChat Pay: each field behind a backtick, two rows of totals at the end.
        Layout(
            name="wechat",
            field_prefix="`",
            footer="总交易单数",
            footer_count="总交易单数",
            date="交易时间",
            date_format="%Y-%m-%d %H:%M:%S",
            kind_column="交易状态",
            kinds=(
                Kind(values=("SUCCESS",), reference="商户订单号", amount="应结订单金额", sign="in"),
                Kind(values=("REFUND", "REVOKED"), reference="商户退款单号", amount="退款金额", sign="out"),
            ),
            party="用户标识",
            currency="货币种类",
            fee="手续费",
        ),
        Layout(
            name="own",
            date="date",
            date_format="%Y-%m-%d",
            kinds=(Kind(reference="reference", amount="amount"),),
            party="party",
            currency="currency",
            fee="fee",
        ),
    )
}


def layout_of(name: str) -> Layout:
    """A shipped layout. Raises `LayoutWrong`.

    >>> layout_of("wechat").field_prefix
    '`'
    """
    if name not in LAYOUTS:
        raise LayoutWrong("layout", name, f"one of {', '.join(LAYOUTS)}, or a JSON file that declares one")
    return LAYOUTS[name]


def decode_layout(written: bytes) -> Layout:
    """A layout of one's own, from JSON. Raises `LayoutWrong`."""
    try:
        layout = msgspec.json.decode(written, type=Layout)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise LayoutWrong(
            "layout", str(problem), "a layout in JSON, as docs/reconciliation.md shows"
        ) from None
    if not layout.encodings or not layout.kinds:
        raise LayoutWrong("layout", layout.name, "at least one encoding and one kind of line")
    if len(layout.delimiter) != 1 or layout.delimiter in '"\r\n':
        raise LayoutWrong("layout: delimiter", layout.delimiter, "one character, such as a comma")
    if layout.header_rows < 0 or layout.footer_rows < 0:
        raise LayoutWrong("layout: header_rows, footer_rows", "below 0", "0 or more")
    if len(layout.kinds) > 1 and not layout.kind_column:
        raise LayoutWrong("layout: kind_column", "", "the column that tells the kinds of line apart")
    return layout
