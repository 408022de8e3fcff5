"""Changing what is offered in one act: stop now, pause, a window, longer or over sooner, a place, new terms, back again.

Each act edits the files of the policy in force as a person would, reads the whole anew, and publishes it with its
announcement. What a person could not publish, an act cannot either: the checks are the same, and a base that moved meanwhile is
refused. Nothing is half-written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import transaction

from fenqi.calendars import local_date, to_epoch, zone_of
from fenqi.policy.compile import compile_policy
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.difference import compare, review_layers
from fenqi.policy.document import read_policy
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.policies import audit, edits
from fenqi_server.policies import service as policies
from fenqi_server.policies.service import Kind, Publication
from fenqi_server.shops.models import Shop

__all__ = [
    "STOP_NEWS",
    "Refused",
    "Told",
    "end_now",
    "extend",
    "files_in_force",
    "move",
    "new_agreement_version",
    "open_window",
    "pause",
    "publish_files",
    "roll_back",
    "stop_now",
]

STOP_NEWS: Final = timedelta(hours=24)
"""A stop has no end yet: by then there is news of it."""


class Refused(BadInput):
    """An act that cannot be done to this policy; nothing was published."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the public is told with an act. `id` names the notice; the rest is as a notice has it."""

    id: str
    title: Text
    reason: Text
    affected: Text
    unaffected: Text
    purpose: Text | None = None
    restored: Text | None = None
    next_update: datetime | None = None
    instead: Sequence[str] = ()
    plans: Sequence[str] = ()
    repayment: Mapping[str, str] | None = None
    compensation: Sequence[Mapping[str, Any]] = ()


_STOCK_REASON: Final = Text(
    "因临时情况，本店先行暂停这种付款方式，正在核实。",
    "Something came up: the shop has paused this way to pay for now and is looking into it.",
)
_STOCK_UNAFFECTED: Final = Text(
    "已生效的合同、还款、提前结清和退货照常；其他付款方式不受影响。",
    "Contracts in force, repayments, paying off early and returns go on as usual; so do all other ways to pay.",
)
_STOCK_RESTORED: Final = Text("已恢复，可照常使用。", "It is back and can be used as before.")


def stop_now(shop: Shop, plan: str, actor: str, reason: str, at: datetime) -> Publication:
    """Stop one plan at once, by one person, with a stock announcement; someone else looks at it within a day.

    Raises `Refused` for a plan that the policy in force has not, or one that is stopped already.
    """
    if not reason.strip():
        raise Refused("reason", reason, "why it is stopped", "one sentence, for the record and the review")
    base, files = files_in_force(shop, at)
    policy = policies.by_digest(base, shop.id)
    if plan not in policy.plan_index:
        raise Refused(
            "plan", plan, "one of " + ", ".join(policy.plan_index), "name a plan of the policy in force"
        )
    family = policy.families[policy.plan(plan).family].name
    term = policy.plan(plan).periods
    name = f"stop.{plan}.{local_date(at, shop.time_zone):%Y%m%d}"
    notice = f"stop-{plan.replace('_', '-')}-{local_date(at, shop.time_zone):%Y-%m-%d}"
    number = 2
    while edits.entry(files, "rules", name) is not None or edits.entry(files, "notices", notice) is not None:
        held = edits.entry(files, "rules", name)
        if held is not None and "to" not in held.get("blocked", {}):
            raise Refused(
                "plan", plan, "a plan that is not stopped", f"{name} stops it already: end that rule first"
            )
        name, notice, number = f"{name.rsplit('-', 1)[0]}-{number}", f"{notice}-{number}", number + 1
    zh, en = (f"{family.zh_cn}{term}期", f"{family.en} × {term}") if term > 1 else (family.zh_cn, family.en)
    told = Told(
        id=notice,
        title=Text(f"{zh}暂停", f"{en}: paused"),
        reason=_STOCK_REASON,
        affected=Text(f"想用{zh}付款的新订单。", f"New orders that would be paid by {en}."),
        unaffected=_STOCK_UNAFFECTED,
        restored=_STOCK_RESTORED,
        next_update=at + STOP_NEWS,
        plans=(plan,),
    )

    def stopped(there: Mapping[str, str]) -> dict[str, str]:
        return _with_rule(
            there, shop, name, {"plan": plan}, "strategy", "STRATEGY_PAUSE", actor, at, None, told
        )

    with transaction.atomic():
        audit.hold(shop)
        others = _others(shop, plan, at)
        made = publish_files(
            shop, stopped(files), at, actor, base=base, kind="stop", reason=reason, review_after=True
        )
        for other, kept in others:
            _carry(shop, other, stopped(kept), at, actor, reason)
    return made


def _others(shop: Shop, plan: str, at: datetime) -> list[tuple[Publication, dict[str, str]]]:
    """What a share of the customers has, and what is planned: a stop that missed these would be undone unseen.

    Raises `Refused` where one of them has the plan, and was published without its files.
    """
    published = policies.publications(shop.id)
    there = policies.in_force(published, at)
    after = published[published.index(there) + 1 :] if there is not None else ()
    widest: dict[str, Publication] = {}
    for made in after:
        if made.valid_from <= at and made.percent < 100:
            widest[made.salt] = (
                made if made.salt not in widest else max(widest[made.salt], made, key=_percent)
            )
    found = []
    for other in (*widest.values(), *(made for made in after if made.valid_from > at)):
        if plan not in policies.by_digest(other.digest, shop.id).plan_index:
            continue
        files = policies.files_of(shop, other.digest)
        if files is None:
            raise Refused(
                "policy",
                other.digest,
                "a policy that was published with its files; this one is planned, or has a share of the customers",
                "publish its folder once more with `fenqi policy publish`, or roll back to the policy in force",
            )
        found.append((other, files))
    return found


def _percent(made: Publication) -> int:
    return made.percent


def _carry(
    shop: Shop, other: Publication, files: Mapping[str, str], at: datetime, actor: str, reason: str
) -> Publication:
    """Publish another policy anew with the change in it, for whom and from when it was."""
    result = read_policy(files)
    if result.snapshot is None:
        raise Refused(
            "policy", other.digest, "one that takes the change", "; ".join(map(str, result.problems[:3]))
        )
    return policies.publish(
        shop,
        result.snapshot,
        at,
        actor,
        sets=result.sets,
        files=files,
        tested=False,
        valid_from=max(other.valid_from, at),
        kind=other.kind,
        reason=reason,
        percent=other.percent,
        salt=other.salt,
        draft_id=other.draft_id,
        silent_reason=other.silent_reason,
    )


def pause(
    shop: Shop,
    rule: str,
    applies: Mapping[str, Any],
    actor: str,
    at: datetime,
    told: Told,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    instead: Sequence[str] = (),
    when: str | None = None,
    reason: str = "",
) -> Publication:
    """Pause what `applies` selects (as in the files: `{plan: mall_12}`), for a reason of the shop's own."""
    base, files = files_in_force(shop, at)
    more = {"instead": list(instead) or None, "when": when}
    files = _with_rule(
        files, shop, rule, applies, "strategy", "STRATEGY_PAUSE", actor, start or at, end, told, **more
    )
    return publish_files(shop, files, at, actor, base=base, kind="publish", reason=reason)


def open_window(
    shop: Shop,
    rule: str,
    applies: Mapping[str, Any],
    actor: str,
    at: datetime,
    told: Told,
    *,
    start: datetime,
    end: datetime,
    daily: tuple[str, str] | None = None,
    when: str | None = None,
    reason: str = "",
) -> Publication:
    """Plan a window of maintenance, or one of every day (`daily`: two times such as "23:30") while it lasts."""
    base, files = files_in_force(shop, at)
    more: dict[str, Any] = {"when": when}
    if daily is not None:
        more["daily"] = {"from": daily[0], "to": daily[1]}
    files = _with_rule(
        files, shop, rule, applies, "maintenance", "MAINTENANCE", actor, start, end, told, **more
    )
    return publish_files(shop, files, at, actor, base=base, kind="window", reason=reason)


def extend(
    shop: Shop,
    rule: str,
    until: datetime | None,
    actor: str,
    at: datetime,
    *,
    next_update: datetime | None = None,
    reason: str = "",
) -> Publication:
    """Let a rule with a window end later (or sooner, but not before now); None: nobody knows. Its notice says the same.

    What the notice says of repayment moves with it. Without a known end `next_update` says by when there is news.
    """
    base, files = files_in_force(shop, at)
    entry = _windowed(files, rule)
    start = _epoch(entry["blocked"].get("from"), shop)
    if until is not None and (until <= at or (start is not None and to_epoch(until) <= start)):
        raise Refused(
            "until",
            until.isoformat(),
            "an instant after now and after the window's beginning",
            "to end it at once, end it now",
        )
    if until is None and next_update is None:
        raise Refused("until", "unknown", "an end, or by when there is news", "give next_update")
    ends = None if until is None else _written(until, shop)
    files = edits.change(files, "rules", rule, {"blocked": _window(entry["blocked"].get("from"), ends)})
    return _retold(shop, files, entry.get("notice"), ends, next_update, base, actor, at, reason)


def end_now(shop: Shop, rule: str, actor: str, at: datetime, *, reason: str = "") -> Publication:
    """End a rule with a window at once. One that has not begun is taken out, and its notice with it."""
    base, files = files_in_force(shop, at)
    entry = _windowed(files, rule)
    start, end = (_epoch(entry["blocked"].get(key), shop, end=key == "to") for key in ("from", "to"))
    if end is not None and end <= to_epoch(at):
        raise Refused("rule", rule, "a window that is not over", "it has ended by itself already")
    notice = entry.get("notice")
    if start is not None and to_epoch(at) <= start:
        files = edits.remove(files, "rules", rule)
        if notice is not None and not _linked(files, notice):
            files = edits.remove(files, "notices", notice)
        return publish_files(shop, files, at, actor, base=base, kind="window", reason=reason)
    ends = _written(at, shop)
    files = edits.change(files, "rules", rule, {"blocked": _window(entry["blocked"].get("from"), ends)})
    return _retold(shop, files, notice, ends, None, base, actor, at, reason)


def move(
    shop: Shop,
    placement: str,
    applies: Mapping[str, Any],
    actor: str,
    at: datetime,
    told: Told,
    *,
    why: Text,
    rank: int | None = None,
    collapsed: bool | None = None,
    since: datetime | None = None,
    reason: str = "",
) -> Publication:
    """Give ways to pay another place on the page, from `since` (default: now) on."""
    if rank is None and collapsed is None:
        raise Refused("rank", "nothing", "a rank, or whether it is collapsed", "say where it moves to")
    base, files = files_in_force(shop, at)
    files = _with_notice(files, shop, told, since or at, None)
    files = edits.add(
        files,
        "placements",
        {
            "id": placement,
            "applies": applies,
            "rank": rank,
            "collapsed": None if collapsed is None else "yes" if collapsed else "no",
            "since": _written(since or at, shop),
            "reason": edits.written(why),
            "notice": told.id,
        },
    )
    return publish_files(shop, files, at, actor, base=base, kind="publish", reason=reason)


def new_agreement_version(
    shop: Shop,
    funder: str,
    version: Mapping[str, Any],
    actor: str,
    at: datetime,
    told: Told,
    *,
    reason: str = "",
) -> Publication:
    """Add a version of a funder's terms, as the files have it: `{version: own-8, from: 2026-11-23T12:00, paused: yes}`."""
    base, files = files_in_force(shop, at)
    entry = edits.entry(files, "funders", funder)
    if entry is None:
        raise Refused("funder", funder, "a funder of the policy in force", "look at the policy's funders")
    known = entry.get("agreements") or ([entry["agreement"]] if "agreement" in entry else [])
    # The version before ends where this one begins: its notice is about all that the funder pays for.
    of_funder = [plan.id for plan in policies.by_digest(base, shop.id).plans if plan.funder == funder]
    told = msgspec.structs.replace(told, plans=of_funder)
    begins = _epoch(version.get("from"), shop)
    since = at if begins is None else datetime.fromtimestamp(begins, UTC)
    files = _with_notice(files, shop, told, since, None)
    fields = {"agreement": None, "agreements": [*known, {**version, "notice": told.id}]}
    files = edits.change(files, "funders", funder, fields)
    return publish_files(shop, files, at, actor, base=base, kind="publish", reason=reason)


def roll_back(
    shop: Shop, digest: str, actor: str, reason: str, at: datetime, *, silent_reason: str = ""
) -> Publication:
    """Put an earlier policy of the shop in force again, from now on. Raises `NoPolicy` where it never had it."""
    if not reason.strip():
        raise Refused("reason", reason, "why it is rolled back", "one sentence, for the record")
    base, _ = _in_force(shop, at)
    return policies.publish_again(
        shop, digest, at, actor, reason=reason, base=base, silent_reason=silent_reason
    )


# ---------------------------------------------------------------------------------------------- one publication


def files_in_force(shop: Shop, at: datetime) -> tuple[str, dict[str, str]]:
    """The digest of the policy in force and the files that say it. Raises `Refused` where it was published without."""
    digest, files = _in_force(shop, at)
    if files is None:
        raise Refused(
            "policy",
            digest,
            "a policy that was published with its files",
            "publish its folder once with `fenqi policy publish`: from then on it can be edited",
        )
    return digest, files


def _in_force(shop: Shop, at: datetime) -> tuple[str, dict[str, str] | None]:
    digest = policies.current(shop.id, at).digest
    return digest, policies.files_of(shop, digest)


def publish_files(
    shop: Shop,
    files: Mapping[str, str],
    at: datetime,
    actor: str,
    *,
    base: str | None = None,
    kind: Kind = "publish",
    reason: str = "",
    review_after: bool = False,
) -> Publication:
    """Read files as a policy and publish it with them, changed from `base`.

    Raises `Refused` with the first thing that is wrong in them, and where law, compliance or risk would change, which is
    no single person's act.
    """
    result = read_policy(files)
    if result.snapshot is None:
        first = result.problems[0]
        raise Refused(
            f"{first.file}:{first.line}",
            first.text or "the files",
            first.message,
            first.suggestion or "change it",
        )
    if base is not None:
        found = compare(
            policies.by_digest(base, shop.id), compile_policy(result.snapshot, result.sets), to_epoch(at)
        )
        reviewed = sorted(review_layers(found))
        if reviewed:
            raise Refused(
                "layer",
                ", ".join(reviewed),
                "a change of agreement, maintenance, strategy, cart or place",
                "make a draft of it: somebody else reviews law, compliance and risk",
            )
    return policies.publish(
        shop,
        result.snapshot,
        at,
        actor,
        sets=result.sets,
        files=files,
        tested=False,
        kind=kind,
        reason=reason,
        base=base,
        review_after=review_after,
    )


def _with_rule(
    files: Mapping[str, str],
    shop: Shop,
    rule: str,
    applies: Mapping[str, Any],
    layer: str,
    code: str,
    owner: str,
    start: datetime,
    end: datetime | None,
    told: Told,
    **more: Any,
) -> dict[str, str]:
    if end is not None and end <= start:
        raise Refused(
            "end", end.isoformat(), f"an instant after {start.isoformat()}", "a window ends after it begins"
        )
    made = _with_notice(files, shop, told, start, end)
    return edits.add(
        made,
        "rules",
        {
            "id": rule,
            "layer": layer,
            "owner": owner.rpartition(":")[2] or owner,
            "reason": code,
            "applies": applies,
            "blocked": _window(_written(start, shop), None if end is None else _written(end, shop)),
            "notice": told.id,
            **more,
        },
    )


def _with_notice(
    files: Mapping[str, str], shop: Shop, told: Told, since: datetime, until: datetime | None
) -> dict[str, str]:
    if until is None and told.next_update is None:
        raise Refused(
            "next_update",
            "nothing",
            "by when there is news, since no end is known",
            "give next_update, or an end",
        )
    made: dict[str, Any] = {"id": told.id}
    for name in ("title", "reason", "affected", "unaffected", "purpose", "restored"):
        text: Text | None = getattr(told, name)
        if text is not None:
            made[name] = edits.written(text)
    made["since"] = _written(since, shop)
    if until is not None:
        made["until"] = _written(until, shop)
    if told.next_update is not None:
        made["next_update"] = _written(told.next_update, shop)
    for name in ("instead", "plans", "compensation"):
        if getattr(told, name):
            made[name] = list(getattr(told, name))
    if told.repayment is not None:
        made["repayment"] = dict(told.repayment)
    return edits.add(files, "notices", made)


def _retold(
    shop: Shop,
    files: dict[str, str],
    notice: str | None,
    ends: str | None,
    next_update: datetime | None,
    base: str,
    actor: str,
    at: datetime,
    reason: str,
) -> Publication:
    if notice is not None:
        said = edits.entry(files, "notices", notice) or {}
        fields: dict[str, Any] = {"until": ends}
        if ends is None or said.get("confidence"):
            fields["confidence"] = None
        if next_update is not None:
            fields["next_update"] = _written(next_update, shop)
        outage = said.get("repayment")
        if outage is not None and ends is not None and outage.get("to") == said.get("until"):
            fields["repayment"] = {**outage, "to": ends, "due_moves_to": _moved(outage, ends, shop)}
        files = edits.change(files, "notices", notice, fields)
    return publish_files(shop, files, at, actor, base=base, kind="window", reason=reason)


def _moved(outage: Mapping[str, str], ends: str, shop: Shop) -> str:
    """The first day after the outage, if the day it says is no longer one."""
    end = _epoch(ends, shop, end=True)
    assert end is not None, "an end was given"
    first = local_date(end - 1, shop.time_zone) + timedelta(days=1)
    return max(str(outage["due_moves_to"]), first.isoformat())


def _linked(files: Mapping[str, str], notice: str) -> bool:
    snapshot = read_policy(files).snapshot
    if snapshot is None:
        return True
    links = [*snapshot.rules, *snapshot.placements, *snapshot.budgets]
    return any(one.notice == notice for one in links)


def _windowed(files: Mapping[str, str], rule: str) -> dict[str, Any]:
    entry = edits.entry(files, "rules", rule)
    if entry is None or not isinstance(entry.get("blocked"), dict):
        raise Refused(
            "rule",
            rule,
            "a rule of the policy in force that has a window",
            "agreements and daily windows end otherwise",
        )
    return entry


def _window(start: str | None, end: str | None) -> dict[str, str]:
    return {key: text for key, text in (("from", start), ("to", end)) if text is not None}


def _written(at: datetime, shop: Shop) -> str:
    """An instant on the shop's clock, as the files have it; with its offset where the wall clock alone is not enough."""
    local = at.astimezone(zone_of(shop.time_zone)).replace(microsecond=0)
    text = local.replace(tzinfo=None).isoformat(timespec="seconds" if local.second else "minutes")
    try:
        if parse_instant(text, shop.time_zone) == to_epoch(local):
            return text
    except ValueTrouble:
        pass
    return local.isoformat(timespec="seconds")


def _epoch(text: str | None, shop: Shop, *, end: bool = False) -> int | None:
    return None if text is None else parse_instant(text, shop.time_zone, end=end)
