"""The table of all costs at its own address, in both languages, as a page and as a print, and its reading without a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client
from pypdf import PdfReader
from tests.engine.terms.test_disclosure import guaranteed_table
from tests.pages.page import Node, parse
from tests.pages.test_walk import _form, _read, _sheet

from fenqi.money import format_money
from fenqi.terms.disclosure import Disclosure, Manner, digest, percent, rates_of
from fenqi_server.demo import clock
from fenqi_server.disclosures import service as disclosures
from fenqi_server.shops import service as shops

Visit = Callable[..., Client]
LOCALES = ["zh-CN", "en"]
KEPT = Path(__file__).parents[1] / "engine" / "terms" / "kept"


@pytest.fixture
def guaranteed(mall: None) -> str:
    """A table with everything: interest, a guarantor's fee, a ceiling, and all three contingent costs."""
    from decimal import Decimal

    table = guaranteed_table(Manner(shown="sum_of_items", ceiling=Decimal("0.24")))
    return disclosures.keep(shops.only_shop(), table, clock.now())


def said_by(table: Disclosure, locale: str) -> list[str]:
    """Every field of the table, as it has to be said: by the value alone, without the page's own code."""

    def money(minor: int) -> str:
        return format_money(minor, table.currency)

    said = [
        money(table.principal_minor),
        str(table.periods),
        money(table.total_cost_minor),
        money(table.total_repayment_minor + table.down_payment_minor),
        table.funder_name.in_(locale),
        table.nothing_else.in_(locale),
        table.table_version,
    ]
    for rate in rates_of(table.annual_cost):
        assert rate.shown_percent is not None
        said += [rate.label.in_(locale), f"{rate.shown_percent}%"]
    if table.ceiling_e12 is not None:
        said.append(f"{percent(table.ceiling_e12)}%")
    for item in table.items:
        assert item.annual_rate_e12 is not None
        said += [
            item.name.in_(locale),
            item.timing.in_(locale),
            item.basis.in_(locale),
            f"{percent(item.annual_rate_e12)}%",
            item.payee_name.in_(locale),
            money(item.amount_minor),
        ]
        if item.kind == "interest":
            assert item.repay_mode is not None
            assert item.rate_type is not None
            said += [item.repay_mode.in_(locale), item.rate_type.in_(locale)]
    for cost in table.contingent:
        assert cost.payee_name is not None
        said += [cost.name.in_(locale), cost.basis.in_(locale), cost.payee_name.in_(locale)]
    return said


def close(text: str) -> str:
    """Without white space, which a line's end or a cell's puts anywhere."""
    return re.sub(r"\s+", "", text)


def printed_text(data: bytes) -> str:
    return close("".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages))


@pytest.mark.parametrize("locale", LOCALES)
def test_page_and_print_say_every_field_of_the_table(guaranteed: str, locale: str) -> None:
    table = disclosures.find(shops.only_shop(), guaranteed)
    client = Client()
    page = client.get(f"/disclosures/{guaranteed}/{locale}/")
    assert page.status_code == 200
    tree = parse(page.content)
    assert tree.one("html")["lang"] == locale
    pdf = client.get(f"/disclosures/{guaranteed}/{locale}/table.pdf")
    assert (pdf.status_code, pdf["content-type"]) == (200, "application/pdf")
    whole, print_ = close(tree.text), printed_text(pdf.content)
    missing = [said for said in said_by(table, locale) if close(said) not in whole]
    assert missing == [], "not on the page"
    missing = [said for said in said_by(table, locale) if close(said) not in print_]
    assert missing == [], "not in the print"
    assert guaranteed in whole
    assert guaranteed in print_


@pytest.mark.parametrize("locale", LOCALES)
def test_field_by_field_page_and_print_agree(guaranteed: str, locale: str) -> None:
    """Whatever stands in a cell of the page stands in the print, in the same order of columns."""
    client = Client()
    tree = parse(client.get(f"/disclosures/{guaranteed}/{locale}/").content)
    print_ = printed_text(client.get(f"/disclosures/{guaranteed}/{locale}/table.pdf").content)
    rows = [row for table in tree.all("table") for row in table.all("tr")]
    assert len(rows) == 2 + 2 + 3, "two heads, two costs, three contingent costs"
    for row in rows:
        for cell in [*row.all("th"), *row.all("td")]:
            assert close(cell.text) in print_, cell.text
    for fact in tree.one("dl", class_="sum").all("div"):
        assert close(fact.text) in print_, fact.text


def test_the_three_yearly_figures_stand_there_each_with_its_label_and_one_leads(guaranteed: str) -> None:
    tree = parse(Client().get(f"/disclosures/{guaranteed}/zh-CN/").content)
    leading = tree.one("dl", class_="figures").one(data_figure="cost").text
    assert leading == "10.91% 各项息费年化之和"
    assert tree.one(data_figure="sum_of_items").text == "10.91%"
    assert tree.one(data_figure="simple").text == "11.01%"
    assert tree.one(data_figure="compounded").text == "11.58%"
    labels = [div.text for div in tree.one("dl", class_="sum").all("div") if "年化综合融资成本（" in div.text]
    assert [label.split("（")[1].split("）")[0] for label in labels] == [
        "各项息费年化之和",
        "单利，IRR×12",
        "复利，IRR",
    ]
    heads = [head.text for head in tree.all("table")[0].all("th", scope="col")]
    assert heads == ["项目", "收取方式", "收取标准", "年化水平", "收取主体", "金额"]


def test_of_the_usual_three_contingent_costs_those_that_are_not_charged_say_so(mall: None) -> None:
    plain = msgspec.structs.replace(guaranteed_table(), contingent=guaranteed_table().contingent[:1])
    name = disclosures.keep(shops.only_shop(), plain, clock.now())
    tree = parse(Client().get(f"/disclosures/{name}/zh-CN/").content)
    rows = [row.text for row in tree.all("table")[1].all("tr")][1:]
    assert rows == [
        "逾期罚息 按贷款利率上浮50%，即年利率10.8% 某银行",
        "挪用罚息 不收取 —",
        "提前结清违约金 不收取 —",
    ]


@pytest.mark.parametrize("plan", ["mall_12", "mall_3", "tingchao_3"])
@pytest.mark.parametrize("locale", LOCALES)
def test_a_table_of_the_first_layout_is_shown_and_printed_as_it_was(
    mall: None, plan: str, locale: str
) -> None:
    old = msgspec.json.decode((KEPT / f"disclosure-1-{plan}.json").read_bytes(), type=Disclosure)
    name = disclosures.keep(shops.only_shop(), old, clock.now())
    assert name == digest(old)
    client = Client()
    tree = parse(client.get(f"/disclosures/{name}/{locale}/").content)
    print_ = printed_text(client.get(f"/disclosures/{name}/{locale}/table.pdf").content)
    for said in (
        "cn-2026-08@1",
        old.items[0].basis.in_(locale),
        old.annual_cost.label.in_(locale),
        f"{old.annual_cost.shown_compounded_percent}%" if old.total_cost_minor else "0%",
        old.nothing_else.in_(locale),
    ):
        assert close(said) in close(tree.text), said
        assert close(said) in print_, said
    # It did not say what it does not charge, and does not begin to.
    assert len(tree.all("table")[1].all("tr")) == 1 + max(1, len(old.contingent))


def test_the_address_leads_on_in_the_readers_language(guaranteed: str) -> None:
    address = f"/disclosures/{guaranteed}/"
    for language, locale in (("en", "en"), ("zh-CN", "zh-CN"), ("fr", "zh-CN")):
        answer = Client(headers={"accept-language": language}).get(address)
        assert (answer.status_code, answer["location"]) == (302, f"{address}{locale}/")
        assert "Accept-Language" in answer["vary"]


@pytest.mark.parametrize(
    "address",
    [
        "/disclosures/sha256:{other}/en/",
        "/disclosures/sha256:{other}/",
        "/disclosures/sha256:{other}/en/table.pdf",
        "/disclosures/{name}/fr/",
        "/disclosures/{name}/fr/table.pdf",
        "/disclosures/{name}/zh-cn/",
        "/disclosures/mall_12/en/",
    ],
)
def test_a_name_or_a_language_that_is_none_is_not_found(guaranteed: str, address: str) -> None:
    answer = Client().get(address.format(name=guaranteed, other="0" * 64))
    assert answer.status_code == 404
    assert Client().get(f"/disclosures/{guaranteed}%00/en/").status_code == 400


def test_anybody_may_keep_it_for_nobody_stands_in_it(visit: Visit, guaranteed: str) -> None:
    """The same bytes for whoever asks: no name, no session, no token, no instant."""
    someone, stranger = visit("good"), Client()
    for address in (f"/disclosures/{guaranteed}/en/", f"/disclosures/{guaranteed}/en/table.pdf"):
        one, other = someone.get(address), stranger.get(address)
        clock.move_to(clock.now() + timedelta(days=1))
        assert one.content == other.content == stranger.get(address).content
        assert not other.cookies
        assert (
            other["cache-control"] in ("public, max-age=3600", "max-age=3600, public")
            or "86400" in (other["cache-control"])
        )
        assert "public" in other["cache-control"]
        assert "Cookie" not in other.get("vary", "")
        assert other["etag"]
        assert other["content-language"] == "en"
        for word in ("Zhao", "赵", "csrf", "customer"):
            assert word not in (other.content.decode("utf-8", "ignore"))
    data = stranger.get(f"/disclosures/{guaranteed}/en/table.pdf")
    assert data["content-disposition"] == f'inline; filename="{guaranteed[7:23]}-en.pdf"'
    again = stranger.get(f"/disclosures/{guaranteed}/en/table.pdf", headers={"if-none-match": data["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    information = PdfReader(BytesIO(data.content)).metadata
    assert information is not None
    assert information.subject == guaranteed
    assert guaranteed_table().funder_name.en in str(information.title)


def test_the_page_needs_no_script_and_stays_inside_the_policy(guaranteed: str) -> None:
    answer = Client().get(f"/disclosures/{guaranteed}/zh-CN/")
    assert not parse(answer.content).all("script")
    assert "style=" not in answer.content.decode()
    assert "script-src 'self'" in answer["content-security-policy"]


def test_a_font_of_the_installations_own_is_embedded_or_refused(guaranteed: str, tmp_path: Path) -> None:
    import reportlab
    from django.core.exceptions import ImproperlyConfigured
    from django.test import override_settings

    from fenqi_server.disclosures import printing

    address = f"/disclosures/{guaranteed}/en/table.pdf"
    assert b"/FontFile2" not in Client().get(address).content, "what is named is not embedded"
    vera = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    try:
        printing._fonts.cache_clear()
        with override_settings(FENQI_PDF_FONT=str(vera)):
            printing.check_font()
            data = Client().get(address).content
        fonts = [
            str(font.get_object()["/BaseFont"])
            for page in PdfReader(BytesIO(data)).pages
            for font in page["/Resources"]["/Font"].values()
        ]
        assert any("BitstreamVera" in font for font in fonts), fonts
        for wrong in (broken, tmp_path / "gone.ttf"):
            printing._fonts.cache_clear()
            with (
                override_settings(FENQI_PDF_FONT=str(wrong)),
                pytest.raises(ImproperlyConfigured, match="FENQI_PDF_FONT"),
            ):
                printing.check_font()
    finally:
        printing._fonts.cache_clear()


# ----------------------------------------------------------------------------------- reading it, without a script


def _post(client: Client, sheet: Node, **further: str) -> Any:
    return client.post("/checkout/sheet", {**_form(sheet.one("form", id="agree")), **further})


def test_too_early_an_agreement_is_refused_with_what_is_left_and_keeps_the_form(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    waiting = sheet.one("fenqi-reading")
    assert waiting["seconds"] == "10"
    assert "at least 10 seconds" in waiting.text
    button = sheet.one("form", id="agree").one("button")
    assert "disabled" not in button.attributes, "without a script nothing would ever open it"
    _read(4)
    answer = _post(client, sheet, read="yes")
    assert answer.status_code == 409
    again = parse(answer.content)
    alert = again.one("p", role="alert").text
    assert re.fullmatch(r"The table of costs is read for at least 10 seconds: [56] are left\.", alert), alert
    assert "checked" in again.one("input", name="read").attributes, "what was ticked stays ticked"
    form = again.one("form", id="agree")
    assert _form(form)["attempt"] == _form(sheet.one("form", id="agree"))["attempt"]
    assert again.one("fenqi-reading")["seconds"] in ("5", "6")
    # The reading goes on where it was: six more seconds are enough.
    _read(6)
    done = _post(client, again, read="yes")
    assert done.status_code == 302
    assert done["location"].startswith("/contracts/")


def test_looking_at_it_again_does_not_begin_anew(visit: Visit) -> None:
    client = visit("good", "zh")
    sheet = _sheet(client, "mall_12")
    _read(8)
    form = _form(sheet.one("form", id="agree"))
    again = parse(client.get("/checkout/sheet", {"decision": form["decision"], "plan": "mall_12"}).content)
    assert again.one("fenqi-reading")["seconds"] in ("1", "2")
    _read(2)
    ready = parse(client.get("/checkout/sheet", {"decision": form["decision"], "plan": "mall_12"}).content)
    assert not ready.all("fenqi-reading")
    assert _post(client, ready, read="yes").status_code == 302


def test_no_form_can_say_that_it_was_read_for_long(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    answer = _post(client, sheet, read="yes", reading="rd1.test.forged.note", shown_at="2020-01-01")
    assert answer.status_code == 409
    assert "10 seconds" in parse(answer.content).one("p", role="alert").text


def test_what_is_paid_at_once_is_agreed_to_at_once(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "card_full")
    assert not sheet.all("fenqi-reading")


def test_the_sheet_links_to_the_tables_own_address_and_the_contract_to_the_same(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    links = [
        link["href"]
        for link in sheet.one(data_fq_part="sheet-body").all("a")
        if "disclosures" in link["href"]
    ]
    name = _form(sheet.one("form", id="agree"))["disclosure"]
    assert links == [f"/disclosures/{name}/zh-CN/", f"/disclosures/{name}/en/"]
    assert Client().get(links[0]).status_code == 200
    _read()
    contract = _post(client, sheet, read="yes")["location"].partition("?")[0]
    page = parse(client.get(f"{contract}disclosure/").content)
    assert f"/disclosures/{name}/en/" in [link["href"] for link in page.all("a")]
    assert re.search(r"Shown on .*read for 1\d seconds", page.text), page.text[:900]


def test_a_second_shop_s_tables_are_asked_for_by_its_code(db: Any) -> None:
    from tests.api.world import AT, forget_caches

    forget_caches()
    first = shops.create_shop("one", name_zh_cn="一店", name_en="One", at=AT)
    second = shops.create_shop("two-2", name_zh_cn="二店", name_en="Two", at=AT + timedelta(days=1))
    name = disclosures.keep(second, guaranteed_table(), AT)
    client = Client()
    assert client.get(f"/disclosures/{name}/en/").status_code == 404, "the first shop has not shown it"
    page = client.get(f"/disclosures/{name}/en/?shop=two-2")
    assert page.status_code == 200
    tree = parse(page.content)
    assert "Two" in tree.text
    links = [link["href"] for link in tree.all("a")]
    assert links == [f"/disclosures/{name}/zh-CN/?shop=two-2", f"/disclosures/{name}/en/table.pdf?shop=two-2"]
    assert [client.get(link).status_code for link in links] == [200, 200]
    assert client.get(f"/disclosures/{name}/?shop=two-2")["location"].endswith("/?shop=two-2")
    assert client.get(f"/disclosures/{name}/en/?shop=gone").status_code == 404
    assert disclosures.keep(first, guaranteed_table(), AT) == name
    assert client.get(f"/disclosures/{name}/en/").status_code == 200
    forget_caches()
