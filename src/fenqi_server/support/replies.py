"""Reply templates: a polite frame around what the decision itself says.

A template holds the words that stay the same, in both languages, and gaps for those that do not: `{option}`, `{until}`,
`{reasons}`, `{instead}`, `{notice}`, `{case}`, `{special}`. The gaps are filled from the same record and by the same
functions as the checkout, in the customer's language, so that a reply can never promise what the checkout does not say.

Support answers what is available, until when, and what else there is. It recommends no credit product and compares none:
that is the funder's to do, on its own page (rule of 2026-09-30); the ready-made templates keep to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from django.db import connection, transaction

from fenqi.texts import Text, TextError, fill, placeholders
from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7_after
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop
from fenqi_server.support.diagnosis import Words

__all__ = ["GAPS", "READY_MADE", "BadTemplate", "Template", "fill_in", "retire", "save", "templates"]

MAX_BODY: Final = 2000
MAX_NAME: Final = 80
MAX_TEMPLATES: Final = 100

GAPS: Final[Mapping[str, Text]] = {
    "option": Text("支付方式", "the way to pay"),
    "until": Text("何时恢复", "when it opens again"),
    "reasons": Text("全部原因", "all its reasons"),
    "instead": Text("可改用的方式", "what to use instead"),
    "notice": Text("公告链接", "the notice's address"),
    "case": Text("咨询编号", "the case's number"),
    "special": Text("特批的有效期", "until when a special case stands"),
}
_NONE: Final = Text("无", "none")


class BadTemplate(Exception):
    """A template that cannot be kept: empty, too long, or with a gap that nothing fills. `text` says what and why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class Template(msgspec.Struct, frozen=True):
    """One reply ready to be filled. `own` is False for those that Fenqi brings."""

    name: str
    body: Text
    own: bool = False


READY_MADE: Final = (
    Template(
        "why",
        Text(
            "您好，关于{option}：{until}。\n{reasons}\n\n您现在可以使用：\n{instead}\n\n公告：{notice}\n咨询编号 {case}，有问题请直接回复。",
            "Hello, about {option}: {until}.\n{reasons}\n\nOpen to you now:\n{instead}\n\nNotice: {notice}\n"
            "Your case is {case}; just reply if anything is unclear.",
        ),
    ),
    Template(
        "looking",
        Text(
            "您好，我们已看到您下单时的页面，正在核实{option}的情况，会尽快回复您。咨询编号 {case}。",
            "Hello, we see the page that you saw and are looking into {option}. We will write again soon. Your case is {case}.",
        ),
    ),
    Template(
        "special",
        Text(
            "您好，已为您开通特批：{option}，{special}。请在此之前返回结算页重新查看；各项费用以结算页为准。咨询编号 {case}。",
            "Hello, a special case was approved for you: {option}, {special}. Open the checkout again before then; the costs are"
            " those shown there. Your case is {case}.",
        ),
    ),
    Template(
        "law",
        Text(
            "您好，{option}的限制是法律法规的要求，任何人都无权为您破例，敬请理解。\n您现在可以使用：\n{instead}\n咨询编号 {case}。",
            "Hello, what keeps {option} from you is required by law, and nobody here may make an exception.\n"
            "Open to you now:\n{instead}\nYour case is {case}.",
        ),
    ),
)


def templates(shop: Shop) -> tuple[Template, ...]:
    """The shop's templates and those that Fenqi brings; the shop's own stand in front, and in place of namesakes."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (name) name, body_zh_cn, body_en, retired FROM support_template"
            " WHERE shop_id = %s ORDER BY name, id DESC",
            [shop.id],
        )
        own = {
            name: (Template(name, Text(zh, en), own=True), retired)
            for name, zh, en, retired in cursor.fetchall()
        }
    kept = [template for template, retired in own.values() if not retired]
    return (*kept, *(template for template in READY_MADE if template.name not in own))


def save(shop: Shop, name: str, body: Text, *, actor: str, at: datetime) -> Template:
    """Keep a template under its name, instead of what was there. Raises `BadTemplate`."""
    template = Template(name.strip(), Text(body.zh_cn.strip(), body.en.strip()), own=True)
    if not 1 <= len(template.name) <= MAX_NAME or not template.name.isprintable():
        raise BadTemplate(
            Text(
                f"名称「{name[:MAX_NAME]}」不可用：须为 1 至 {MAX_NAME} 个可显示的字符。",
                f"The name is {name[:MAX_NAME]!r}: expected 1 to {MAX_NAME} printable characters.",
            )
        )
    for locale, language in (("zh-CN", Text("中文", "Chinese")), ("en", Text("英文", "English"))):
        text = template.body.in_(locale)
        if not 1 <= len(text) <= MAX_BODY or "\x00" in text:
            raise BadTemplate(
                Text(
                    f"{language.zh_cn}文本有 {len(text)} 字：须为 1 至 {MAX_BODY} 字，两种语言都要写。",
                    f"The {language.en} text has {len(text)} characters: expected 1 to {MAX_BODY}, in both languages.",
                )
            )
        known = ", ".join(f"{{{gap}}}" for gap in GAPS)
        try:
            wrong = [gap for gap, kind in placeholders(text).items() if gap not in GAPS or kind != "plain"]
        except TextError:
            wrong = ["…"]
        if wrong:
            raise BadTemplate(
                Text(
                    f"{language.zh_cn}文本中的 {{{wrong[0]}}} 无法填写：可用的有 {known}；要写花括号本身请写两遍。",
                    f"{{{wrong[0]}}} in the {language.en} text cannot be filled: expected {known}; write a brace twice where"
                    " it is meant as one.",
                )
            )
    if len(templates(shop)) >= MAX_TEMPLATES:
        raise BadTemplate(
            Text(
                f"最多 {MAX_TEMPLATES} 个模板：请先停用一个。",
                f"There are {MAX_TEMPLATES} templates already: retire one first.",
            )
        )
    _write(shop, template, actor, at, retired=False)
    return template


def retire(shop: Shop, name: str, *, actor: str, at: datetime) -> None:
    """Offer a template no more, be it the shop's own or one that Fenqi brings. Raises `BadTemplate`."""
    found = next((template for template in templates(shop) if template.name == name), None)
    if found is None:
        raise BadTemplate(
            Text(
                f"没有名为「{name[:MAX_NAME]}」的模板。", f"No template in use is called {name[:MAX_NAME]!r}."
            )
        )
    _write(shop, found, actor, at, retired=True)


def fill_in(
    template: Template,
    locale: str,
    *,
    case: str,
    words: Words | None = None,
    notice: str = "",
    special: str = "",
) -> str:
    """The reply in the customer's language. A gap that has nothing to hold says so in a word."""
    none = _NONE.in_(locale)
    mark = "：" if locale == "zh-CN" else ": "
    reasons, instead = [], []
    if words is not None:
        for reason in words.reasons:
            said = " ".join(part for part in (reason.detail, reason.fix) if part)
            reasons.append(
                f"· {reason.title}{mark}{said} ({reason.when})"
                if said
                else f"· {reason.title} ({reason.when})"
            )
        instead = [f"· {way.name} ({way.difference})" for way in words.instead]
    return fill(
        template.body,
        {
            "option": words.name if words is not None else none,
            "until": words.state if words is not None else none,
            "reasons": "\n".join(reasons) or none,
            "instead": "\n".join(instead) or none,
            "notice": notice or none,
            "case": case,
            "special": special or none,
        },
        locale,
        currency="CNY",  # no gap of a template is an amount: what is filled in is written already
        zone="UTC",
    )


def _write(shop: Shop, template: Template, actor: str, at: datetime, *, retired: bool) -> None:
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM support_template WHERE shop_id = %s ORDER BY id DESC LIMIT 1", [shop.id]
            )
            last = cursor.fetchone()
            made = uuid7_after(last[0] if last else None, at)
            cursor.execute(
                "INSERT INTO support_template (shop_id, id, name, body_zh_cn, body_en, retired, actor, written_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    shop.id,
                    made,
                    template.name,
                    template.body.zh_cn,
                    template.body.en,
                    retired,
                    actor,
                    at,
                ],
            )
        audit.record(
            shop,
            actor,
            "template.retire" if retired else "template.save",
            template.name,
            at,
            after=None if retired else {"zh-CN": template.body.zh_cn, "en": template.body.en},
        )
