"""The console's desk: queue, case, diagnosis, special cases, templates; each to its roles, everything in the log."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.api.world import AT, GROWN_UP, PHONE, make_world
from tests.pages.page import parse

from fenqi_server import clock, facts
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.funders import consents
from fenqi_server.support import cases, overrides


@pytest.fixture
def agent(mall: Any, as_staff: Callable[..., Any]) -> Any:
    return as_staff("support", shop=mall.shop, username="li")


@pytest.fixture
def boss(mall: Any, as_staff: Callable[..., Any]) -> Any:
    return as_staff("supervisor", shop=mall.shop, username="wang")


def shown(mall: Any, **changes: Any) -> decisions.Decision:
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    return decisions.evaluate(
        mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP | changes, clock.now(), source="checkout"
    )


def opened(mall: Any, message: str = "Why is it gone?", **changes: Any) -> cases.Case:
    decision = shown(mall)
    wanted = {"locale": "en", "decision": decision.public_id, "plan": "mall_12"} | changes
    return cases.open_case(mall.shop, mall.customer_id, message, AT, **wanted)


# ------------------------------------------------------------------------------------------------ the case, worked


def test_a_case_is_worked_from_the_queue_to_its_end(mall, agent, acted):
    case = opened(mall)
    queue = parse(agent.get("/console/cases/").content)
    assert case.number in queue.one("tbody").text
    page = agent.get(f"/console/cases/{case.public_id}/").content.decode()
    assert "Why is it gone?" in page
    base = f"/console/cases/{case.public_id}"
    assert agent.post(f"{base}/assign", {"assignee": "li"}).status_code == 302
    assert agent.post(f"{base}/note", {"note": "a note for the desk"}).status_code == 302
    filled = parse(agent.get(f"{base}/?template=why").content).one("textarea", id="message").text
    assert "Your credit left is too small" in filled or "credit" in filled.lower()
    assert agent.post(f"{base}/reply", {"message": filled}).status_code == 302
    found, messages = cases.get(mall.shop, case.public_id)
    assert (found.state, found.assignee, messages[-1].actor) == ("answered", "li", "staff:li")
    assert "a note for the desk" not in "".join(message.body for message in messages)
    assert agent.post(f"{base}/close").status_code == 302
    assert case.number in agent.get("/console/cases/?show=closed").content.decode()
    assert sorted(act for act, _, _ in acted("case.")) == [
        "case.assign",
        "case.close",
        "case.note",
        "case.reply",
    ]


def test_the_reply_is_filled_in_the_customers_language_with_the_checkouts_words(mall, agent):
    from django.utils import translation

    from fenqi_server.storefront.selector import reason_view
    from fenqi_server.storefront.voice import Voice

    case = opened(mall, locale="zh-CN")
    filled = parse(agent.get(f"/console/cases/{case.public_id}/?template=why").content).one(
        "textarea", id="message"
    )
    decision = decisions.load(case.decision or "", shop=mall.shop)
    (reason,) = decision.evaluation.option("mall_12").verdict.reasons
    with translation.override("zh-hans"):
        said = reason_view(
            decision.policy, reason, Voice("zh-CN", "CNY", "Asia/Shanghai", int(AT.timestamp()))
        )
    for part in (said.title, said.detail, said.fix, said.when):
        assert part in filled.text


@pytest.mark.parametrize(("act", "field"), [("reply", "message"), ("note", "note")])
def test_an_empty_reply_or_note_says_what_is_wanted(mall, agent, act, field):
    case = opened(mall)
    answer = agent.post(f"/console/cases/{case.public_id}/{act}", {field: "  "})
    assert answer.status_code == 422
    assert parse(answer.content).one(role="alert").text.endswith("in at most 2,000 characters.")


def test_a_case_goes_only_to_somebody_of_the_desk(mall, agent, as_staff):
    as_staff("author", shop=mall.shop, username="ann")
    case = opened(mall)
    assert agent.post(f"/console/cases/{case.public_id}/assign", {"assignee": "ann"}).status_code == 404


def test_what_a_customer_writes_is_text(mall, agent):
    case = opened(mall, "<script>alert(1)</script>", subject="<b>bold</b>")
    for path in ("", f"{case.public_id}/"):
        body = agent.get(f"/console/cases/{path}").content.decode()
        assert "<script>alert" not in body
        assert "<b>bold" not in body


# -------------------------------------------------------------------------------------------------- the diagnosis


def test_the_diagnosis_page_says_every_layer_what_if_and_the_words_in_both_languages(mall, agent, acted):
    decision = shown(mall, **{"customer.real_name_verified": False})
    page = parse(agent.get(f"/console/diagnosis/{decision.public_id}/?plan=mall_12").content)
    layers = page.one("ol", data_fq_part="layers").all("li", class_="stack-s")
    outcomes = {
        each["data-layer"]: each["data-outcome"] for each in layers if "data-layer" in each.attributes
    }
    assert list(outcomes) == [
        "law",
        "compliance",
        "agreement",
        "risk",
        "maintenance",
        "outage",
        "business",
        "cart",
        "customer",
    ]
    assert (outcomes["compliance"], outcomes["customer"], outcomes["law"]) == ("blocks", "blocks", "passed")
    assert "identical with the record" in page.one(data_fq_part="replay").text
    assert len(page.all(data_fq_part="what-if")) == 2
    assert "¥3,000.00" in page.one("ol", data_fq_part="layers").text
    assert "1 time today, to 1 customer" in page.one(data_fq_part="similar").text
    said = {each["lang"]: each.text for each in page.all("textarea")}
    assert set(said) == {"zh-CN", "en"}
    assert "商城分期" in said["zh-CN"]
    # Whoever looked is in the log.
    assert acted("diagnosis.") == [("diagnosis.view", "staff:li", decision.public_id)]


def test_what_is_withheld_is_said_with_who_may_see_it(mall, agent, boss):
    consents.record(mall.shop, mall.customer_id, "hean", AT)
    facts.record_prequal(mall.shop.id, mall.customer_id, "hean", "declined", AT)
    path = f"/console/diagnosis/{shown(mall).public_id}/?plan=hean_12"
    seen = agent.get(path).content.decode()
    assert "risk.hean_assessment" not in seen
    assert (
        "Particulars of risk are withheld from you. Who may see them: supervisor, auditor"
        in html.unescape(seen)
    )
    whole = boss.get(path).content.decode()
    assert "risk.hean_assessment" in whole
    assert "withheld from you" not in whole


def test_a_reviewer_sees_no_figures_of_the_person(mall, as_staff):
    reviewer = as_staff("reviewer", shop=mall.shop, layers=("law",))
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li Hua", "", ""), AT)
    body = html.unescape(
        reviewer.get(f"/console/diagnosis/{shown(mall).public_id}/?plan=mall_12").content.decode()
    )
    for secret in ("Li Hua", "3,000.00", "customer.line", "LINE_INSUFFICIENT"):
        assert secret not in body, secret
    assert (
        "Figures of the person are withheld from you. Who may see them: support agent, supervisor, auditor"
        in body
    )


@pytest.mark.parametrize("asked", ["138 0013 8000", "u-1", "decision", "case"])
def test_a_caller_is_found(mall, agent, asked, acted):
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li Hua", "", "13800138000"), AT)
    case = opened(mall)
    text = {"decision": case.decision, "case": case.public_id}.get(asked, asked)
    page = parse(agent.post("/console/cases/find/", {"asked": text}).content)
    links = [link["href"] for link in page.one("tbody").all("a")]
    assert links == [f"/console/diagnosis/{case.decision}/"]
    # What was asked for is nobody's to read in a log that is never erased.
    assert acted("decision.find") == [
        ("decision.find", "staff:li", {"u-1": "customer", "138 0013 8000": "phone"}.get(asked, asked))
    ]


def test_what_is_not_there_is_not_there(mall, agent):
    other = make_world("other")
    theirs = opened(other)
    for path in (
        f"/console/cases/{theirs.public_id}/",
        f"/console/diagnosis/{theirs.decision}/",
        "/console/special/x/",
    ):
        assert agent.get(path).status_code == 404
    page = agent.post("/console/cases/find/", {"asked": theirs.decision}).content.decode()
    assert "Nothing of this shop has that number." in page


# --------------------------------------------------------------------------------------------------- special cases


def asks(mall: Any, client: Any, rule: str = "customer.line", **changes: Any) -> Any:
    form = {
        "decision": shown(mall).public_id,
        "rule": rule,
        "plan": "mall_12",
        "amount": "¥6,000.00",
        "hours": "24",
        "reason": "A customer of many years",
        "scope": "plan",
    } | changes
    return client.post("/console/special/new/", form)


def test_a_special_case_is_asked_by_one_and_approved_by_another_and_the_checkout_shows_it(
    mall, agent, boss, acted
):
    answer = asks(mall, agent)
    path = answer.headers["Location"]
    assert answer.status_code == 302
    assert "waiting for a decision" in agent.get(path).content.decode()
    assert boss.post(f"{path}approve", {"amount": "¥5,000.00", "hours": "2"}).status_code == 302
    page = html.unescape(agent.get(path).content.decode())
    assert "in force" in page
    assert "¥5,000.00" in page
    decision = shown(mall)
    assert decision.evaluation.option("mall_12").offered
    diagnosis = agent.get(f"/console/diagnosis/{decision.public_id}/?plan=mall_12").content.decode()
    assert "who asked, who approved" in diagnosis
    assert boss.post(f"{path}revoke", {"note": "asked for by mistake"}).status_code == 302
    assert not shown(mall).evaluation.option("mall_12").offered
    assert [(act, who) for act, who, _ in acted("override.")] == [
        ("override.ask", "staff:li"),
        ("override.approve", "staff:wang"),
        ("override.revoke", "staff:wang"),
    ]


def test_a_rule_of_law_is_refused_with_why(mall, agent):
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    path = f"/console/special/new/?decision={shown(mall).public_id}&plan=mall_12&rule=law.adult"
    assert "Nobody may set it aside" in agent.get(path).content.decode()
    refused = asks(mall, agent, "law.adult")
    assert refused.status_code == 422
    assert (
        "is a rule of law. Nobody may set it aside: the database refuses"
        in parse(refused.content).one(role="alert").text
    )
    assert overrides.listed(mall.shop) == ()


def test_who_is_both_cannot_approve_their_own(mall, as_staff):
    both = as_staff("support", "supervisor", shop=mall.shop, username="zhao")
    path = asks(mall, both).headers["Location"]
    page = both.get(path).content.decode()
    assert "somebody else has to decide" in page
    assert "approve" not in [
        form["action"].rpartition("/")[2]
        for form in parse(page.encode()).all("form")
        if "action" in form.attributes
    ]
    refused = both.post(f"{path}approve", {"amount": "¥6,000.00", "hours": "24"})
    assert refused.status_code == 422
    assert "another person with that right has to" in parse(refused.content).one(role="alert").text
    assert both.post(f"{path}withdraw").status_code == 302


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": "a lot"}, "Write an amount such as ¥5,000.00."),
        ({"hours": "73"}, "1 to 72"),
        ({"hours": "x"}, "1 to 72"),
        ({"reason": ""}, "Say why"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_keeps_what_was_typed(mall, agent, changes, said):
    answer = asks(mall, agent, **changes)
    assert answer.status_code == 422
    page = parse(answer.content)
    assert said in page.one(role="alert").text
    assert page.one("textarea", id="reason").text == changes.get("reason", "A customer of many years")


def test_an_expired_one_says_so(mall, agent, boss):
    path = asks(mall, agent).headers["Location"]
    boss.post(f"{path}approve", {"amount": "¥6,000.00", "hours": "1"})
    with clock.pinned(AT + timedelta(hours=2)):
        assert "expired" in agent.get(path).content.decode()


# ---------------------------------------------------------------------------------------------- roles and languages

GETS = (
    ("/console/cases/", ("support", "supervisor")),
    ("/console/cases/{case}/", ("support", "supervisor")),
    ("/console/cases/templates/", ("support", "supervisor")),
    ("/console/cases/find/", ("support", "supervisor", "reviewer", "auditor")),
    ("/console/diagnosis/{decision}/", ("support", "supervisor", "reviewer", "auditor")),
    ("/console/special/", ("support", "supervisor", "auditor")),
    ("/console/special/{override}/", ("support", "supervisor", "auditor")),
    ("/console/special/new/?decision={decision}&plan=mall_12&rule=customer.line", ("support", "supervisor")),
)
POSTS = (
    ("/console/cases/{case}/reply", ("support", "supervisor")),
    ("/console/cases/{case}/note", ("support", "supervisor")),
    ("/console/cases/{case}/assign", ("support", "supervisor")),
    ("/console/cases/{case}/close", ("support", "supervisor")),
    ("/console/cases/templates/retire", ("support", "supervisor")),
    ("/console/special/{override}/approve", ("supervisor",)),
    ("/console/special/{override}/refuse", ("supervisor",)),
    ("/console/special/{override}/revoke", ("supervisor",)),
    ("/console/special/{override}/withdraw", ("support", "supervisor")),
)


def test_each_page_and_act_opens_to_its_roles_alone(mall, as_staff):
    from fenqi_server.console.access import ROLES

    case = opened(mall)
    asked = overrides.ask(
        mall.shop,
        mall.customer_id,
        "customer.line",
        actor="staff:li",
        reason="why",
        max_amount_minor=600_000,
        hours=24,
        at=AT,
    )
    named = {"case": case.public_id, "decision": case.decision, "override": asked.public_id}
    for role in ROLES:
        client = as_staff(role, shop=mall.shop, username=f"only-{role}")
        for path, roles in GETS:
            status = client.get(path.format(**named)).status_code
            assert status == (200 if role in roles else 403), (role, path, status)
        for path, roles in POSTS:
            if role not in roles:
                assert client.post(path.format(**named), {"note": "x", "message": "x"}).status_code == 403, (
                    role,
                    path,
                )
    assert overrides.get(mall.shop, asked.public_id).state(AT) == "asked"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_of_the_desk_in_both_languages(mall, as_staff, language):
    client = as_staff("support", "supervisor", shop=mall.shop, username="both", language=language)
    case = opened(mall, locale="zh-CN")
    asked = overrides.ask(
        mall.shop,
        mall.customer_id,
        "customer.line",
        actor="staff:li",
        reason="why",
        max_amount_minor=600_000,
        hours=24,
        at=AT,
    )
    named = {"case": case.public_id, "decision": case.decision, "override": asked.public_id}
    for path, _ in GETS:
        body = client.get(path.format(**named)).content.decode()
        page = parse(body.encode())
        assert page.one("h1").text
        heading = page.one("h1").text + page.one("main").text
        assert any("\u4e00" <= letter <= "\u9fff" for letter in heading) or language == "en", path
        assert "style=" not in body
        assert "onclick" not in body


def test_templates_are_written_changed_and_retired(mall, agent):
    form = {"name": "hello", "zh": "您好 {case}", "en": "Hello {case}"}
    assert agent.post("/console/cases/templates/", form).status_code == 302
    assert "hello" in agent.get("/console/cases/templates/").content.decode()
    wrong = agent.post("/console/cases/templates/", form | {"en": "{nothing}"})
    assert wrong.status_code == 422
    assert "{nothing}" in parse(wrong.content).one(role="alert").text
    assert agent.post("/console/cases/templates/retire", {"name": "hello"}).status_code == 302
    assert agent.post("/console/cases/templates/retire", {"name": "hello"}).status_code == 404


def test_the_open_desk_is_gone(mall, call):
    assert call("GET", "/agent/cases/").status_code == 404
