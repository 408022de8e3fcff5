"""Statements as providers write them: taken whole, or refused whole with line numbers."""

from __future__ import annotations

import json
from datetime import date

import pytest

from fenqi_server.reconciliation.layouts import LAYOUTS, LayoutWrong, decode_layout, layout_of
from fenqi_server.reconciliation.statement import Line, StatementRefused, read_statement

# Headings as the providers print them.
ALIPAY_HEAD = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,"
    "支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
WECHAT_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,"
    "代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,"
    "申请退款金额,费率备注"
)
WECHAT_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"


def alipay_line(
    trade: str,
    order: str,
    kind: str,
    amount: str,
    fee: str,
    refund: str = "",
    done: str = "2026-11-23 10:00:05",
) -> str:
    return (
        f"{trade}\t,{order}\t,{kind}\t,第3期,2026-11-23 10:00:00,{done},\t,\t,\t,\t,*杨(137****2600)\t,"
        f"{amount},{amount},0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{refund}\t,{fee},0.00,"
    )


def alipay(*lines: str) -> bytes:
    rule = "#-----------------------------------------业务明细列表"
    return "\r\n".join(
        [
            "#支付宝业务明细查询",
            "#账号：[20880000000000000156]",
            "#起始日期：[2026年11月23日 00:00:00]   终止日期：[2026年11月24日 00:00:00]",
            rule + "----------------------------------------",
            ALIPAY_HEAD,
            *lines,
            rule + "结束------------------------------------",
            f"#交易合计：{len(lines)}笔，商家实收共530.00元",
            "#导出时间：[2026年11月24日 09:00:00]",
            "",
        ]
    ).encode("gbk")


def wechat_line(
    order: str, state: str, amount: str, refund: str = "0", back: str = "0.00", fee: str = "0.00000"
) -> str:
    cells = [
        "2026-11-23 17:07:11", "wx0", "1600000000", "0", "", "42000", order, "openid-1", "JSAPI", state, "OTHERS", "CNY",
        amount, "0.00", "0", refund, back, "0.00", "", "", "分期", "", fee, "0.60%", amount, back, "",
    ]  # fmt: skip
    return ",".join(f"`{cell}" for cell in cells)


def wechat(*lines: str, count: int | None = None) -> bytes:
    totals = f"`{len(lines) if count is None else count},`530.00,`10.00,`0.00,`3.18000,`530.00,`10.00"
    return "\r\n".join(["\ufeff" + WECHAT_HEAD, *lines, WECHAT_TOTALS, totals, ""]).encode()


def own(*rows: str, head: str = "reference,amount,currency,date,party,fee") -> bytes:
    return "\n".join([head, *rows, ""]).encode()


def test_alipay_s_bill_of_trades_is_read_as_it_is_downloaded() -> None:
    written = alipay(
        alipay_line("2026112300001", "p-1", "交易", "530.00", "-3.18"),
        alipay_line("2026112300001", "p-1", "退款", "-10.00", "0.06", "r-1"),
    )
    read = read_statement(written, layout_of("alipay"), "CNY")
    payer, day = "*杨(137****2600)", date(2026, 11, 23)
    # A fee of -3.18 cost us 318 fen; 6 fen of it came back with the refund, which bears the number of the refund.
    assert read.lines == (
        Line(6, "p-1", 53_000, "CNY", day, payer, 318),
        Line(7, "r-1", -1_000, "CNY", day, payer, -6),
    )


def test_wechat_pay_s_bill_is_read_behind_its_backticks_and_before_its_totals() -> None:
    written = wechat(
        wechat_line("p-1", "SUCCESS", "530.00", fee="3.18000"),
        wechat_line("p-1", "REFUND", "0.00", "r-1", "10.00"),
    )
    read = read_statement(written, layout_of("wechat"), "CNY")
    assert [(line.reference, line.amount_minor, line.fee_minor, line.on) for line in read.lines] == [
        ("p-1", 53_000, 318, date(2026, 11, 23)),
        ("r-1", -1_000, 0, date(2026, 11, 23)),
    ]


def test_a_bill_that_is_cut_off_is_refused() -> None:
    whole = wechat(wechat_line("p-1", "SUCCESS", "1.00"), wechat_line("p-2", "SUCCESS", "2.00"))
    with pytest.raises(StatementRefused, match=r"line 3 is the last line: expected totals"):
        read_statement(whole.split("总".encode())[0], layout_of("wechat"), "CNY")
    short = wechat(wechat_line("p-1", "SUCCESS", "1.00"), wechat_line("p-2", "SUCCESS", "2.00"), count=3)
    with pytest.raises(StatementRefused, match=r"line 5 is 3 lines in all: expected the 2"):
        read_statement(short, layout_of("wechat"), "CNY")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("p-1,1.005,CNY,2026-11-23,,",), r"line 2, amount is 1.005: expected at most 2 decimals"),
        (("p-1,1e3,CNY,2026-11-23,,",), r"line 2, amount is 1e3"),
        (('p-1,"1,23",CNY,2026-11-23,,',), r"line 2, amount is 1,23"),
        (("p-1,0,CNY,2026-11-23,,",), r"line 2, amount is 0"),
        (("p-1,１.00,CNY,2026-11-23,,",), r"line 2, amount"),
        (("p-1,99999999999999.00,CNY,2026-11-23,,",), r"line 2, amount .* at most"),
        (("p-1,1.00,RMB,2026-11-23,,",), r"line 2, currency is RMB"),
        (("p-1,1.00,CNY,23.11.2026,,",), r"line 2, date is 23.11.2026"),
        (
            ("p-1,1.00,CNY,0001-01-01,,",),
            r"line 2, date is 0001-01-01: expected a date of the years 1970 to 2199 written like 2026-11-23$",
        ),
        (("p-1,1.00,CNY,9999-12-31,,",), r"line 2, date is 9999-12-31"),
        (("p-1,1.00,CNY,2026-11-23,,", "p-\0,1.00,CNY,2026-11-23,,"), r"line 3 is text with U\+0000"),
        (("p-1,1.00,CNY,2026-11-23,",), r"line 2 is 5 fields: expected 6"),
        (("p-1,1.00,CNY,2026-11-23,,", "", "p-1,1.00,CNY,2026-11-23,,"), r"line 4 is the same as line 2"),
        ((f"{'p' * 201},1.00,CNY,2026-11-23,,",), r"line 2, reference .* at most 200"),
        (('p-1,"1.00,CNY,2026-11-23,,',), r"line 2 is unexpected end of data"),
        ((), r"file is no lines"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(rows: tuple[str, ...], said: str) -> None:
    with pytest.raises(StatementRefused, match=said):
        read_statement(own(*rows), layout_of("own"), "CNY")


def test_every_wrong_line_is_named_at_once() -> None:
    with pytest.raises(StatementRefused) as refused:
        read_statement(
            own("a,x,CNY,2026-11-23,,", "b,1,CNY,2026-11-23,,", "c,1,CNY,no,,"), layout_of("own"), "CNY"
        )
    assert [problem.place for problem in refused.value.problems] == ["line 2, amount", "line 4, date"]


def test_a_missing_column_and_another_encoding_are_refused() -> None:
    with pytest.raises(StatementRefused, match="line 1 is no column fee"):
        read_statement(
            own("p,1,CNY,2026-11-23,", head="reference,amount,currency,date,party"), LAYOUTS["own"], "CNY"
        )
    with pytest.raises(StatementRefused, match="line 1 is column fee twice"):
        read_statement(own(head="reference,amount,currency,date,party,fee,fee"), LAYOUTS["own"], "CNY")
    gbk = own("p,1,CNY,2026-11-23,杨,").decode().encode("gbk")
    with pytest.raises(StatementRefused, match="line 2 is bytes that are not utf-8"):
        read_statement(gbk, LAYOUTS["own"], "CNY")
    with pytest.raises(StatementRefused, match="no column 完成时间"):
        read_statement(own("p,1,CNY,2026-11-23,,"), LAYOUTS["alipay"], "CNY")


def test_a_kind_that_the_layout_does_not_know_is_not_guessed() -> None:
    with pytest.raises(StatementRefused, match="line 6, 业务类型 is 转账: expected one of 交易, 退款"):
        read_statement(alipay(alipay_line("1", "p-1", "转账", "1.00", "0.00")), LAYOUTS["alipay"], "CNY")


def test_a_layout_of_one_s_own_is_data() -> None:
    bank = decode_layout(
        json.dumps(
            {
                "name": "bank",
                "encodings": ["gb18030"],
                "delimiter": ";",
                "header_rows": 1,
                "footer_rows": 1,
                "date": "记账日",
                "date_format": "%Y%m%d",
                "kinds": [{"reference": "附言", "amount": "金额"}],
                "amount_unit": "minor",
            }
        ).encode()
    )
    written = "对账单;;\n记账日;附言;金额\n20261123;p-1;53000\n20261124;p-2;-100\n合计;;52900\n".encode(
        "gb18030"
    )
    read = read_statement(written, bank, "CNY")
    assert [(line.number, line.reference, line.amount_minor) for line in read.lines] == [
        (3, "p-1", 53_000),
        (4, "p-2", -100),
    ]
    assert read.amount_minor("CNY") == 52_900


@pytest.mark.parametrize(
    "changed",
    [b"{", b"[]", b'{"name":"x","date":"d","date_format":"%Y","kinds":[]}', b'{"name":"x","colour":"red"}'],
)
def test_a_layout_that_declares_nothing_usable_is_refused(changed: bytes) -> None:
    with pytest.raises(LayoutWrong):
        decode_layout(changed)
