"""Which policy is in force, and for whom.

A publication says that a snapshot is in force from an instant on. It is never changed or taken back: rolling back
publishes the old digest again. Of the publications that have begun, the one that begins last is in force, and
among those that begin together the one recorded last. So an urgent change holds until the next planned one.

A publication may be for a share of the customers first. Who is in it is told by a salted hash of the customer, so that
the same customer always gets the same answer; widening keeps the salt, so that those who were in stay in. Everybody
else, and every visitor who is nobody in particular, has what was in force without it.

Each process keeps the shop's publications as one immutable value and swaps the reference; it asks the database
for newer ones at most every `CHECK_SECONDS`. A request holds on to the value that it saw first (`one_view`), so that
no answer is made of two policies. Compiled policies are kept by digest.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from fenqi.calendars import to_epoch
from fenqi.checkout.examples import failed_examples
from fenqi.policy import publications as log
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.difference import Change, announced, change_text, compare
from fenqi.policy.sets import Sets, decode_members, encode_members
from fenqi.policy.snapshot import Snapshot, decode, digest, encode
from fenqi.problems import BadInput
from fenqi_server.db import use_shop
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop

__all__ = [
    "FailedTests",
    "Kind",
    "Misfit",
    "MovedBase",
    "NoPolicy",
    "OneViewMiddleware",
    "Publication",
    "Unannounced",
    "by_digest",
    "current",
    "files_of",
    "forget_caches",
    "in_force",
    "keep",
    "keep_files",
    "one_view",
    "publication_for",
    "publications",
    "publish",
    "publish_again",
    "signed_snapshot",
]

CHECK_SECONDS: Final = 0.5
MAX_COMPILED: Final = 64
REVIEW_AFTER: Final = timedelta(hours=24)
"""Until when someone else looks at what one person did in a hurry."""

Kind = Literal["publish", "rollback", "stop", "window", "pilot", "seed"]


class NoPolicy(LookupError):
    """No policy of the shop has begun at the instant, or no snapshot has the digest."""


class Misfit(BadInput):
    """A policy that cannot be this shop's: its money, or what it calls a day, is another's."""


class FailedTests(BadInput):
    """A policy one of whose own tests does not pass: it says something else than its author meant."""


class MovedBase(BadInput):
    """What a change was made from is not in force any more: somebody else's change would be undone unseen."""


class Unannounced(BadInput):
    """A change of what is available, or of its place, of which nobody would be told. `changes` are those."""

    def __init__(self, changes: tuple[Change, ...], said: tuple[str, ...]) -> None:
        self.changes = changes
        super().__init__(
            "the changes without a notice",
            "; ".join(said),
            "a notice that each of them links, so that whoever misses an option can read why",
            "link a notice (`notice: ID`), or give the reason why the public is told nothing",
        )


class Publication(msgspec.Struct, frozen=True):
    """One line of the record: this snapshot, from then on.

    `percent` of the customers get it, told by `salt`; `base` is what was in force before; `review_by` is there where
    one person did it alone and someone else is to look at it afterwards.
    """

    id: UUID
    digest: str
    valid_from: datetime
    recorded_at: datetime
    actor: str
    kind: Kind = "publish"
    reason: str = ""
    percent: int = 100
    salt: str = ""
    draft_id: UUID | None = None
    base: str | None = None
    needs_notice: bool = False
    announced: bool = False
    silent_reason: str = ""
    review_by: datetime | None = None


_COLUMNS: Final = ", ".join(Publication.__struct_fields__)
_published: dict[UUID, tuple[float, tuple[Publication, ...]]] = {}
_compiled: OrderedDict[str, Policy] = OrderedDict()
_lock = threading.Lock()
_held = threading.local()


def publish(
    shop: Shop,
    snapshot: Snapshot,
    at: datetime,
    actor: str,
    *,
    sets: Sets | None = None,
    files: Mapping[str, str] | None = None,
    valid_from: datetime | None = None,
    kind: Kind = "publish",
    reason: str = "",
    percent: int = 100,
    salt: str = "",
    draft_id: UUID | None = None,
    base: str | None = None,
    silent_reason: str = "",
    review_after: bool = False,
    tested: bool = True,
) -> Publication:
    """Put a snapshot in force from `valid_from` (default: `at`) on, and record who did it, when and why.

    `sets` are the members of the snapshot's sets, those that the shop has published before may be left out. Without `tested`
    its own tests are not asked: what is stopped now is stopped although a test expects it. `files` are the files that say it, kept so that the next change begins from them. `base`: the digest that has to be
    in force when it begins. `percent`: the share of the customers that gets it, told by `salt` (a new one by default).
    `review_after`: someone else is to look at it within a day.

    Where availability or prominence changes, a notice has to say so, or `silent_reason` why none does: a change of risk, say,
    is never announced. What a shop begins with changes nothing for anybody.

    Raises `Misfit` where the policy is in another currency or time zone than the shop, `FailedTests` with every test that does
    not pass, `MissingSet`, `MovedBase` and `Unannounced`; nothing is written then.
    """
    _check_fits(shop, snapshot)
    if not 1 <= percent <= 100:
        raise BadInput("percent", percent, "a whole number from 1 to 100", "100 is everybody")
    known = _sets_of(shop.id, snapshot, sets or {})
    if tested:
        _check_tests(compile_policy(snapshot, known))
    name = digest(snapshot)
    begins = valid_from or at
    made = Publication(
        uuid7(at),
        name,
        begins,
        at,
        actor,
        kind,
        reason,
        percent,
        (salt or secrets.token_hex(8)) if percent < 100 else salt,
        draft_id,
        None,
        silent_reason=silent_reason,
        review_by=at + REVIEW_AFTER if review_after else None,
    )
    with transaction.atomic():
        keep(shop, snapshot, known, at)
        return _record(shop, made, base, files)


def _check_tests(policy: Policy) -> None:
    failed = failed_examples(policy)
    if failed:
        raise FailedTests(
            "the policy's tests",
            "; ".join(result.sentence for result in failed[:3]),
            "that all of them pass",
            "`fenqi policy test` says where they stand: mend the rule, or the test",
        )


def keep(shop: Shop, snapshot: Snapshot, sets: Sets, at: datetime) -> None:
    """Keep a snapshot, and the members of its sets, under their digests without publishing it, so that what was decided by
    it can be decided again."""
    if snapshot.sets:
        use_shop(shop.id)
    with connection.cursor() as cursor:
        for info in snapshot.sets:
            cursor.execute(
                "INSERT INTO policies_set (shop_id, digest, members, recorded_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [shop.id, info.digest, encode_members(sets[info.digest]), at],
            )
        cursor.execute(
            "INSERT INTO policies_snapshot (digest, body, recorded_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [digest(snapshot), encode(snapshot), at],
        )


def _sets_of(shop_id: UUID | None, snapshot: Snapshot, given: Sets) -> Sets:
    """The members of a snapshot's sets: those given, and those kept. What is kept is checked against its digest."""
    missing = [info.digest for info in snapshot.sets if info.digest not in given]
    if not missing:
        return given
    if shop_id is not None:
        use_shop(shop_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest, members FROM policies_set WHERE digest = ANY(%s)", [missing])
        kept = {name: decode_members(bytes(members), name) for name, members in cursor.fetchall()}
    return {**kept, **given}


def publish_again(
    shop: Shop,
    name: str,
    at: datetime,
    actor: str,
    *,
    reason: str = "",
    valid_from: datetime | None = None,
    base: str | None = None,
    silent_reason: str = "",
    review_after: bool = False,
) -> Publication:
    """Roll back: put a policy that this shop had before in force from `valid_from` (default: `at`) on.

    It is published as it was kept, under the name that it has. Raises `NoPolicy` where the shop never had it.
    """
    if all(name != known.digest for known in publications(shop.id)):
        raise NoPolicy(f"{name} was never published in shop {shop.code}")
    made = Publication(
        uuid7(at),
        name,
        valid_from or at,
        at,
        actor,
        "rollback",
        reason,
        silent_reason=silent_reason,
        review_by=at + REVIEW_AFTER if review_after else None,
    )
    return _record(shop, made, base, files_of(shop, name))


def _check_fits(shop: Shop, snapshot: Snapshot) -> None:
    for field in ("currency", "time_zone"):
        found, expected = getattr(snapshot.shop, field), getattr(shop, field)
        if found != expected:
            raise Misfit(
                f"shop.{field} of the policy",
                found,
                f"{expected}, which shop {shop.code} has",
                "a shop keeps it for good: change the policy, or publish it in a shop of its own",
            )


def _record(shop: Shop, made: Publication, base: str | None, files: Mapping[str, str] | None) -> Publication:
    # Announcements read which policies are to come: they are above this module, and are called when it is loaded.
    from fenqi_server.announcements.lifecycle import record_publication

    with transaction.atomic(), connection.cursor() as cursor:
        audit.hold(shop)
        known = publications(shop.id)
        was = in_force(known, made.valid_from)
        _check_base(shop, base, was, made)
        before = None if was is None else by_digest(was.digest, shop.id)
        after = by_digest(made.digest, shop.id)
        changes, untold = _told(before, after, made.valid_from)
        if untold and not made.silent_reason:
            raise Unannounced(untold, tuple(change_text(before, after, each, "en") for each in untold))
        # Of two recorded at one instant the later one has the greater name: it is the one in force.
        twins = [each.id for each in known if each.recorded_at == made.recorded_at]
        made = msgspec.structs.replace(
            made,
            id=max([made.id, *(UUID(int=each.int + 1) for each in twins)]),
            base=None if was is None else was.digest,
            needs_notice=bool(changes),
            announced=bool(changes) and not untold,
        )
        values = [
            shop.id,
            *(getattr(made, field) for field in made.__struct_fields__),
            *_sign(shop, made, after),
        ]
        cursor.execute(
            f"INSERT INTO policies_publication (shop_id, {_COLUMNS}, signed_header, signature)"
            f" VALUES ({', '.join(['%s'] * len(values))})",
            values,
        )
        if files is not None:
            keep_files(shop, made, files)
        record_publication(shop, before, after, made, made.recorded_at, made.actor)
        audit.record(
            shop,
            made.actor,
            f"policy.{made.kind}",
            f"publication:{made.id}",
            made.recorded_at,
            reason=made.reason,
            before=None if was is None else {"digest": was.digest},
            after={
                "digest": made.digest,
                "valid_from": made.valid_from.isoformat(),
                "percent": made.percent,
                "draft": None if made.draft_id is None else str(made.draft_id),
                "silent_reason": made.silent_reason,
            },
        )
        # Another thread may have read the list a moment ago: what commits here is to be seen at once.
        transaction.on_commit(lambda: _published.pop(shop.id, None))
    _published.pop(shop.id, None)
    _let_go(shop.id)
    return made


def _sign(shop: Shop, made: Publication, policy: Policy) -> tuple[bytes | None, bytes | None]:
    """The signed header of a publication, where the service has a key for policies; nothing where it has none."""
    if settings.FENQI_POLICY_KEY is None:
        return None, None
    from fenqi.policy.signing import sign_header

    return sign_header(
        encode(policy.snapshot),
        settings.FENQI_POLICY_KEY,
        shop=shop.code,
        valid_from=to_epoch(made.valid_from),
        recorded_at=to_epoch(made.recorded_at),
    )


def signed_snapshot(shop: Shop, made: Publication) -> bytes | None:
    """The publication's policy as one signed file, whole; None where it was published without a key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT signed_header, signature FROM policies_publication WHERE shop_id = %s AND id = %s",
            [shop.id, made.id],
        )
        header, signature = cursor.fetchone()
    if header is None:
        return None
    from fenqi.policy.signing import encode_signed, signed

    policy = by_digest(made.digest, shop.id)
    return encode_signed(signed(bytes(header), bytes(signature), policy.snapshot, policy.sets))


def _told(
    before: Policy | None, after: Policy, begins: datetime
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """The changes of availability and prominence, and those of them that no notice tells of."""
    if before is None:
        return (), ()
    changes = compare(before, after, to_epoch(begins)).availability
    return changes, tuple(each for each in changes if not announced(each, before, after))


def _check_base(shop: Shop, base: str | None, was: Publication | None, made: Publication) -> None:
    if base is None or (was is not None and was.digest == base):
        return
    now = (
        "none" if was is None else f"{was.digest}, published by {was.actor} at {was.recorded_at.isoformat()}"
    )
    raise MovedBase(
        "base",
        base,
        f"the policy in force when the change begins, which is {now}",
        "take the newer policy as the base, look at the difference again, and have it reviewed again",
    )


def publications(shop_id: UUID) -> tuple[Publication, ...]:
    """All publications of a shop, in the order in which they begin."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM policies_publication WHERE shop_id = %s ORDER BY valid_from, recorded_at, id",
            [shop_id],
        )
        return tuple(Publication(*row) for row in cursor.fetchall())


def keep_files(shop: Shop, publication: Publication, files: Mapping[str, str]) -> None:
    """Keep the files of a policy that was published without them, so that the next change can begin from them."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_source (shop_id, publication_id, digest, files) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [shop.id, publication.id, publication.digest, msgspec.json.encode(dict(files)).decode()],
        )


def files_of(shop: Shop, name: str) -> dict[str, str] | None:
    """The files of a policy as they were published last; None where it was published without."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.files::text FROM policies_source s JOIN policies_publication p"
            " ON p.shop_id = s.shop_id AND p.id = s.publication_id WHERE s.shop_id = %s AND s.digest = %s"
            " ORDER BY p.recorded_at DESC, p.id DESC LIMIT 1",
            [shop.id, name],
        )
        row = cursor.fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=dict[str, str])


def in_force(
    published: tuple[Publication, ...],
    at: datetime,
    subject: UUID | None = None,
    *,
    known_at: datetime | None = None,
) -> Publication | None:
    """The one of them that is in force at `at` for `subject`; `published` is in the order in which they begin.

    `known_at`: by what had been recorded until then.
    """
    return log.in_force(published, at, known_at, None if subject is None else subject.hex)


def publication_for(shop_id: UUID, at: datetime, subject: UUID | None = None) -> Publication | None:
    """The publication that answers `subject` in the shop at `at`: the customer, or None for nobody in particular."""
    view = getattr(_held, "view", None)
    if view is None:
        return in_force(_known(shop_id), at, subject)
    published = view.lists.get(shop_id)
    if published is None:
        published = view.lists[shop_id] = _known(shop_id)
    return in_force(published, view.instant(at), subject)


def current(shop_id: UUID, at: datetime, subject: UUID | None = None) -> Policy:
    """The policy in force in the shop at `at`, for the customer `subject`. Raises `NoPolicy` before the first."""
    publication = publication_for(shop_id, at, subject)
    if publication is None:
        raise NoPolicy(f"shop {shop_id} has no policy in force at {at.isoformat()}: publish one")
    return by_digest(publication.digest, shop_id)


def _known(shop_id: UUID) -> tuple[Publication, ...]:
    now = time.monotonic()
    known = _published.get(shop_id)
    if known is None or known[0] <= now:
        known = _published[shop_id] = (now + CHECK_SECONDS, publications(shop_id))
    return known[1]


class _View:
    """What one request has seen: each shop's publications, and the instant that is its `now`."""

    __slots__ = ("asked", "first", "lists")

    def __init__(self) -> None:
        self.lists: dict[UUID, tuple[Publication, ...]] = {}
        self.first: datetime | None = None
        self.asked = 0.0

    def instant(self, at: datetime) -> datetime:
        """`at`, or the request's own now where `at` is only a later look at the clock: a publication may begin between."""
        if self.first is None:
            self.first, self.asked = at, time.monotonic()
            return at
        passed = (at - self.first).total_seconds()
        return self.first if 0 <= passed <= time.monotonic() - self.asked + 0.1 else at


@contextmanager
def one_view() -> Iterator[None]:
    """Inside, `current` answers from one list of publications, whatever others publish meanwhile."""
    before = getattr(_held, "view", None)
    _held.view = before or _View()
    try:
        yield
    finally:
        _held.view = before


def _let_go(shop_id: UUID) -> None:
    """Whoever publishes sees what they published."""
    view = getattr(_held, "view", None)
    if view is not None:
        view.lists.pop(shop_id, None)
        view.first = None


class OneViewMiddleware:
    """Answers every request from one list of publications."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with one_view():
            return self.get_response(request)


def by_digest(name: str, shop_id: UUID | None = None) -> Policy:
    """The policy of a snapshot ever published. Raises `NoPolicy`.

    The members of its sets are the shop's: `shop_id` names it where the session does not speak for it yet.
    """
    policy = _compiled.get(name)
    if policy is not None:
        return policy
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM policies_snapshot WHERE digest = %s", [name])
        row = cursor.fetchone()
    if row is None:
        raise NoPolicy(f"no snapshot {name} was ever published")
    snapshot = decode(bytes(row[0]))
    policy = compile_policy(snapshot, _sets_of(shop_id, snapshot, {}))
    with _lock:
        _compiled[name] = policy
        while len(_compiled) > MAX_COMPILED:
            _compiled.popitem(last=False)
    return policy


def forget_caches() -> None:
    """Read everything anew, as after the database was replaced under a test."""
    _published.clear()
    with _lock:
        _compiled.clear()
