"""A change of policy before it is one: drafted, checked, looked at by somebody else, then published.

A draft begins from the files of the policy in force. Each edit is a revision, kept for good with what is wrong with it.
Submitting asks for review of exactly that revision: an edit afterwards is another revision, which nobody has looked at.
What has to be reviewed follows from the difference: changes of law, compliance and risk need somebody else's eyes, layer
by layer. Nobody approves what they wrote: the database refuses it, whoever asks.

A shop run by one person alone (`single_operator`) has nobody else. There the author's own changes of these layers wait a
day after they were submitted, and say so to everybody who looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.db import IntegrityError, connection, transaction

from fenqi.calendars import to_epoch
from fenqi.checkout.examples import failed_examples
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.difference import Difference, compare, review_layers
from fenqi.policy.document import is_policy_file, read_policy
from fenqi.policy.sets import Sets
from fenqi.policy.snapshot import LAYERS, Layer, decode, encode
from fenqi.policy.snapshot import digest as digest_of
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.policies.service import Publication
from fenqi_server.shops.models import ALONE_WAITS, Shop

__all__ = [
    "Draft",
    "NoDraft",
    "Refusal",
    "Review",
    "Revision",
    "Standing",
    "Trouble",
    "approve",
    "create",
    "difference_of",
    "edit",
    "get",
    "listed",
    "policy_of",
    "publish",
    "revisions",
    "send_back",
    "submit",
    "take_base",
    "withdraw",
]

MAX_TITLE: Final = 200
MAX_REASON: Final = 2_000
MAX_FILES: Final = 100
MAX_FILE: Final = 200_000
MAX_SET_FILE: Final = 12_000_000
"""A set of 100,000 values of 100 letters, with some words beside them."""

State = Literal["broken", "editing", "waiting", "returned", "ready", "published", "withdrawn"]


class NoDraft(LookupError):
    """No draft of this shop has the id."""


class Refusal(Exception):  # it is an answer, not a fault
    """It is not done, and nothing was written. `code` says why in a word, and the message in a sentence.

    not_author, own_change, not_checked, not_submitted, not_reviewed, no_files, bad_value, withdrawn, published, unchanged.
    """

    def __init__(self, code: str, sentence: str, place: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.place = place


class Trouble(msgspec.Struct, frozen=True):
    """One thing wrong in the files; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str
    suggestion: str = ""


class Draft(msgspec.Struct, frozen=True):
    id: UUID
    title: str
    author: str
    base: str | None
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None


class Revision(msgspec.Struct, frozen=True):
    """One edit. `digest` is of the policy that the files say, None while they have problems."""

    number: int
    author: str
    files: dict[str, str]
    problems: tuple[Trouble, ...]
    digest: str | None
    base: str | None
    silent_reason: str
    created_at: datetime


class Review(msgspec.Struct, frozen=True):
    revision: int
    layer: Layer
    verdict: Literal["approved", "returned"]
    reviewer: str
    reason: str
    reviewed_at: datetime


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a draft stands: its newest revision, what was asked and said about it, and what is still missing.

    `needed`: the layers of which somebody else has to agree; `missing`: those that nobody has agreed to yet. `waits_until` is
    there where one person runs the shop alone: from then on the author may publish without a second pair of eyes.
    """

    draft: Draft
    revision: Revision
    reason: str
    submitted_at: datetime | None
    reviews: tuple[Review, ...]
    needed: tuple[Layer, ...]
    missing: tuple[Layer, ...]
    waits_until: datetime | None
    publications: tuple[Publication, ...]
    state: State

    @property
    def submitted(self) -> bool:
        return self.submitted_at is not None


# ------------------------------------------------------------------------------------------------------ reading


def listed(shop: Shop, at: datetime, *, limit: int = 100) -> tuple[Standing, ...]:
    """The drafts, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_DRAFT} FROM policies_draft WHERE shop_id = %s ORDER BY created_at DESC, id DESC LIMIT %s",
            [shop.id, limit],
        )
        found = [Draft(*row) for row in cursor.fetchall()]
    return tuple(_standing(shop, draft, at) for draft in found)


def get(shop: Shop, draft_id: UUID, at: datetime) -> Standing:
    """One draft. Raises `NoDraft`, for another shop's too."""
    return _standing(shop, _draft(shop, draft_id), at)


def revisions(shop: Shop, draft_id: UUID) -> tuple[Revision, ...]:
    """Every revision of a draft, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_REVISION} FROM policies_draft_revision WHERE shop_id = %s AND draft_id = %s ORDER BY number DESC",
            [shop.id, draft_id],
        )
        return tuple(_revision(row) for row in cursor.fetchall())


def policy_of(revision: Revision) -> Policy:
    """The policy that a revision says. Raises `Refusal` while it has problems."""
    if revision.digest is None:
        raise Refusal("not_checked", "the files have problems: mend them first")
    read = _read(tuple(sorted(revision.files.items())))
    return compile_policy(decode(read.encoded), read.sets)


def difference_of(standing: Standing, at: datetime) -> tuple[Policy | None, Policy, Difference]:
    """What the newest revision changes against its base: before, after, and every change. Raises `Refusal`."""
    after = policy_of(standing.revision)
    base = standing.revision.base
    before = policies.by_digest(base) if base is not None else None
    return before, after, compare(before, after, to_epoch(at))


# ------------------------------------------------------------------------------------------------------- writing


def create(
    shop: Shop, title: str, author: str, at: datetime, *, files: Mapping[str, str] | None = None
) -> Standing:
    """Begin a draft from the files of the policy in force, or from these. Raises `Refusal`."""
    name = _one_line(title, "title", MAX_TITLE)
    base = policies.in_force(policies.publications(shop.id), at)
    begins = dict(files) if files is not None else None
    if begins is None:
        begins = policies.files_of(shop, base.digest) if base is not None else None
        if begins is None:
            raise Refusal(
                "no_files",
                "the policy in force was published without its files: give them with the draft",
                "files",
            )
    _check_files(begins)
    draft = Draft(uuid7(at), name, author, base.digest if base else None, at, None, None)

    def act() -> None:
        audit.hold(shop)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO policies_draft (shop_id, id, title, author, base, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [shop.id, draft.id, draft.title, author, draft.base, at],
            )
        made = _append(shop, draft, begins, draft.base, "", at)
        audit.record(
            shop, author, "draft.create", _subject(draft), at, reason=name, after={"digest": made.digest}
        )

    in_transaction(act)
    return get(shop, draft.id, at)


def edit(
    shop: Shop,
    draft_id: UUID,
    author: str,
    files: Mapping[str, str],
    at: datetime,
    *,
    silent_reason: str | None = None,
) -> Standing:
    """Add a revision with these files. Only the author edits. Raises `NoDraft` and `Refusal`."""

    def act() -> None:
        audit.hold(shop)
        standing = _open(shop, draft_id, at)
        _author_only(standing, author)
        last = standing.revision
        silent = last.silent_reason if silent_reason is None else _written(silent_reason, "silent_reason")
        if dict(files) == last.files and silent == last.silent_reason:
            raise Refusal("unchanged", "the files say what the newest revision says already", "files")
        made = _append(shop, standing.draft, files, last.base, silent, at)
        audit.record(
            shop, author, "draft.edit", _subject(standing.draft), at,
            before={"digest": last.digest, "revision": last.number},
            after={"digest": made.digest, "revision": made.number, "silent_reason": silent},
        )  # fmt: skip

    in_transaction(act)
    return get(shop, draft_id, at)


def take_base(shop: Shop, draft_id: UUID, author: str, at: datetime) -> Standing:
    """Compare the draft with the policy in force now, which is a newer one: what that changed has to be seen again.

    It is another revision of the same files, so what was approved before counts no more. Raises `NoDraft`, `Refusal`.
    """

    def act() -> None:
        audit.hold(shop)
        standing = _open(shop, draft_id, at)
        _author_only(standing, author)
        last = standing.revision
        now = policies.in_force(policies.publications(shop.id), at)
        base = now.digest if now else None
        if base == last.base:
            raise Refusal("unchanged", "the draft's base is the policy in force already")
        _append(shop, standing.draft, last.files, base, last.silent_reason, at)
        audit.record(
            shop, author, "draft.rebase", _subject(standing.draft), at,
            before={"base": last.base}, after={"base": base},
        )  # fmt: skip

    in_transaction(act)
    return get(shop, draft_id, at)


def submit(shop: Shop, draft_id: UUID, author: str, reason: str, at: datetime) -> Standing:
    """Ask for review of the newest revision, saying why. Raises `NoDraft` and `Refusal`."""

    def act() -> None:
        audit.hold(shop)
        standing = _open(shop, draft_id, at)
        _author_only(standing, author)
        revision = standing.revision
        why = _written(reason, "reason", required=True)
        policy_of(revision)
        if revision.digest == revision.base:
            raise Refusal("unchanged", "the draft changes nothing: it is the policy that it began from")
        if standing.submitted:
            raise Refusal("unchanged", "this revision was submitted already")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO policies_submission (shop_id, draft_id, revision, digest, author, reason, submitted_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [shop.id, draft_id, revision.number, revision.digest, author, why, at],
            )
        audit.record(
            shop, author, "draft.submit", _subject(standing.draft), at, reason=why,
            after={"revision": revision.number, "digest": revision.digest},
        )  # fmt: skip

    in_transaction(act)
    return get(shop, draft_id, at)


def approve(
    shop: Shop, draft_id: UUID, reviewer: str, layers: Iterable[Layer], at: datetime, *, reason: str = ""
) -> Standing:
    """Agree to the submitted revision, for these layers. Raises `NoDraft` and `Refusal`; one's own is refused."""
    return _review(shop, draft_id, reviewer, tuple(layers), "approved", reason, at)


def send_back(
    shop: Shop, draft_id: UUID, reviewer: str, layers: Iterable[Layer], at: datetime, *, reason: str
) -> Standing:
    """Send the submitted revision back, saying why. Raises `NoDraft` and `Refusal`."""
    return _review(shop, draft_id, reviewer, tuple(layers), "returned", reason, at)


def withdraw(shop: Shop, draft_id: UUID, actor: str, at: datetime) -> Standing:
    """Put a draft away. Its record stays. Raises `NoDraft` and `Refusal`."""

    def act() -> None:
        audit.hold(shop)
        standing = _open(shop, draft_id, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE policies_draft SET withdrawn_at = %s, withdrawn_by = %s WHERE shop_id = %s AND id = %s",
                [at, actor, shop.id, draft_id],
            )
        audit.record(shop, actor, "draft.withdraw", _subject(standing.draft), at)

    in_transaction(act)
    return get(shop, draft_id, at)


def publish(
    shop: Shop,
    draft_id: UUID,
    actor: str,
    at: datetime,
    *,
    valid_from: datetime | None = None,
    percent: int = 100,
) -> Publication:
    """Put the newest revision in force: now, from an instant on, or for a share of the customers first.

    Published again with a larger share it is widened: those who were in stay in. Raises `NoDraft`, `Refusal`, and what
    `service.publish` raises: `MovedBase`, `Misfit`, and `BadInput` where the public is not told.
    """

    def act() -> Publication:
        audit.hold(shop)
        standing = _open(shop, draft_id, at, published=True)
        revision = standing.revision
        policy = policy_of(revision)
        if not standing.submitted:
            raise Refusal("not_submitted", "the newest revision was not submitted: say why it is made first")
        before = [each for each in standing.publications if each.digest == revision.digest]
        if before and not (before[-1].percent < percent <= 100):
            raise Refusal(
                "published", "this revision is published already; a share of the customers can be widened"
            )
        if _sent_back(standing):
            raise Refusal("not_reviewed", "the revision was sent back: edit it and submit it again")
        if standing.missing and not _alone(standing, actor, at):
            raise Refusal("not_reviewed", _what_is_missing(shop, standing))
        return policies.publish(
            shop,
            policy.snapshot,
            at,
            actor,
            sets=policy.sets,
            files=revision.files,
            valid_from=valid_from,
            kind="publish" if percent == 100 else "pilot",
            reason=standing.reason,
            percent=percent,
            salt=before[-1].salt if before else "",
            draft_id=draft_id,
            base=revision.base,
            silent_reason=revision.silent_reason,
        )

    return in_transaction(act)


# ------------------------------------------------------------------------------------------------------ insides

_DRAFT: Final = "id, title, author, base, created_at, withdrawn_at, withdrawn_by"
_REVISION: Final = "number, author, files::text, problems::text, digest, base, silent_reason, created_at"


def _subject(draft: Draft) -> str:
    return f"draft:{draft.id}"


def _draft(shop: Shop, draft_id: UUID) -> Draft:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_DRAFT} FROM policies_draft WHERE shop_id = %s AND id = %s", [shop.id, draft_id]
        )
        row = cursor.fetchone()
    if row is None:
        raise NoDraft(str(draft_id))
    return Draft(*row)


def _revision(row: Any) -> Revision:
    number, author, files, problems, digest, base, silent, created = row
    return Revision(
        number,
        author,
        msgspec.json.decode(files, type=dict[str, str]),
        _troubles(problems),
        digest,
        base,
        silent,
        created,
    )


def _standing(shop: Shop, draft: Draft, at: datetime) -> Standing:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_REVISION} FROM policies_draft_revision WHERE shop_id = %s AND draft_id = %s"
            " ORDER BY number DESC LIMIT 1",
            [shop.id, draft.id],
        )
        revision = _revision(cursor.fetchone())
        cursor.execute(
            "SELECT reason, submitted_at FROM policies_submission WHERE shop_id = %s AND draft_id = %s AND revision = %s",
            [shop.id, draft.id, revision.number],
        )
        reason, submitted_at = cursor.fetchone() or ("", None)
        cursor.execute(
            "SELECT revision, layer, verdict, reviewer, reason, reviewed_at FROM policies_review"
            " WHERE shop_id = %s AND draft_id = %s AND revision = %s ORDER BY reviewed_at, id",
            [shop.id, draft.id, revision.number],
        )
        reviews = tuple(Review(*row) for row in cursor.fetchall())
    published = tuple(each for each in policies.publications(shop.id) if each.draft_id == draft.id)
    needed = _needed(revision, at)
    last = {review.layer: review.verdict for review in reviews}
    missing = tuple(layer for layer in needed if last.get(layer) != "approved")
    waits = None
    if shop.single_operator and missing and submitted_at is not None:
        waits = submitted_at + ALONE_WAITS
    standing = Standing(
        draft=draft,
        revision=revision,
        reason=reason,
        submitted_at=submitted_at,
        reviews=reviews,
        needed=needed,
        missing=missing,
        waits_until=waits,
        publications=published,
        state="editing",
    )
    return msgspec.structs.replace(standing, state=_state(standing, at))


def _state(standing: Standing, at: datetime) -> State:
    revision = standing.revision
    if standing.draft.withdrawn_at is not None:
        return "withdrawn"
    if any(each.digest == revision.digest for each in standing.publications):
        return "published"
    if revision.problems:
        return "broken"
    if not standing.submitted:
        return "editing"
    if _sent_back(standing):
        return "returned"
    if standing.missing and not (standing.waits_until is not None and at >= standing.waits_until):
        return "waiting"
    return "ready"


def _sent_back(standing: Standing) -> bool:
    """Whether the last word on some layer was no."""
    return "returned" in {review.layer: review.verdict for review in standing.reviews}.values()


def _needed(revision: Revision, at: datetime) -> tuple[Layer, ...]:
    if revision.digest is None:
        return ()
    before = policies.by_digest(revision.base) if revision.base is not None else None
    # What needed review when it was written needs it later too: a window that is over meanwhile is no excuse.
    found = review_layers(compare(before, policy_of(revision), to_epoch(min(at, revision.created_at))))
    return tuple(layer for layer in LAYERS if layer in found)


def _open(shop: Shop, draft_id: UUID, at: datetime, *, published: bool = False) -> Standing:
    standing = get(shop, draft_id, at)
    if standing.state == "withdrawn":
        raise Refusal("withdrawn", "the draft was withdrawn: begin another one")
    if standing.state == "published" and not published:
        raise Refusal("published", "the draft is published: begin another one")
    return standing


def _author_only(standing: Standing, actor: str) -> None:
    if actor != standing.draft.author:
        raise Refusal(
            "not_author", f"only its author, {standing.draft.author}, changes a draft: begin your own"
        )


def _alone(standing: Standing, actor: str, at: datetime) -> bool:
    return standing.waits_until is not None and actor == standing.draft.author and at >= standing.waits_until


def _what_is_missing(shop: Shop, standing: Standing) -> str:
    layers = ", ".join(standing.missing)
    if standing.waits_until is not None:
        return (
            f"changes of {layers} are the author's alone in a shop of one: they wait until "
            f"{standing.waits_until.isoformat()}, then {standing.draft.author} may publish them"
        )
    return f"somebody else has to agree to the changes of: {layers}"


def _review(
    shop: Shop,
    draft_id: UUID,
    reviewer: str,
    layers: tuple[Layer, ...],
    verdict: Literal["approved", "returned"],
    reason: str,
    at: datetime,
) -> Standing:
    def act() -> None:
        audit.hold(shop)
        standing = _open(shop, draft_id, at)
        revision = standing.revision
        if not standing.submitted:
            raise Refusal("not_submitted", "the newest revision was not submitted for review")
        why = _written(reason, "reason", required=verdict == "returned")
        unknown = [layer for layer in layers if layer not in LAYERS]
        if unknown or not layers:
            raise Refusal(
                "bad_value",
                f"layers are {', '.join(layers) or 'none'}: expected some of {', '.join(LAYERS)}",
                "layers",
            )
        with connection.cursor() as cursor:
            for number, layer in enumerate(dict.fromkeys(layers)):
                cursor.execute(
                    "INSERT INTO policies_review (shop_id, id, draft_id, revision, digest, author, layer, verdict,"
                    " reviewer, reason, reviewed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [
                        shop.id, uuid7(at + timedelta(milliseconds=number)), draft_id, revision.number, revision.digest,
                        standing.draft.author, layer, verdict, reviewer, why, at,
                    ],
                )  # fmt: skip
        audit.record(
            shop, reviewer, "draft.approve" if verdict == "approved" else "draft.send_back",
            _subject(standing.draft), at, reason=why,
            after={"revision": revision.number, "digest": revision.digest, "layers": list(layers)},
        )  # fmt: skip

    try:
        with transaction.atomic():
            in_transaction(act)
    except IntegrityError as refused:
        if "policies_review_by_someone_else" in str(refused):
            raise Refusal("own_change", "nobody reviews what they wrote themselves") from None
        raise
    return get(shop, draft_id, at)


def _append(
    shop: Shop, draft: Draft, files: Mapping[str, str], base: str | None, silent: str, at: datetime
) -> Revision:
    _check_files(files)
    read = _read(tuple(sorted(files.items())))
    troubles = read.troubles
    digest = digest_of(decode(read.encoded)) if read.encoded else None
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policies_draft_revision (shop_id, draft_id, number, author, files, problems, digest, base,"
            " silent_reason, created_at) SELECT %s, %s, coalesce(max(number), 0) + 1, %s, %s, %s, %s, %s, %s, %s"
            " FROM policies_draft_revision WHERE shop_id = %s AND draft_id = %s RETURNING number",
            [
                shop.id, draft.id, draft.author, msgspec.json.encode(dict(files)).decode(),
                msgspec.json.encode(troubles).decode(), digest, base, silent, at, shop.id, draft.id,
            ],
        )  # fmt: skip
        number = cursor.fetchone()[0]
    return Revision(number, draft.author, dict(files), troubles, digest, base, silent, at)


class _Read(msgspec.Struct, frozen=True):
    """The encoded snapshot that files say with the members of its sets, or what is wrong with them."""

    encoded: bytes = b""
    troubles: tuple[Trouble, ...] = ()
    sets: Sets = {}


@lru_cache(maxsize=32)
def _read(files: tuple[tuple[str, str], ...]) -> _Read:
    """What the files say: the same files are the same answer. A test of theirs that does not pass is wrong too."""
    result = read_policy(dict(files))
    if result.snapshot is None:
        return _Read(
            troubles=tuple(
                Trouble(each.file, each.line, each.column, each.message, each.suggestion)
                for each in result.problems
            )
        )
    failed = failed_examples(compile_policy(result.snapshot, result.sets))
    if failed:
        return _Read(
            troubles=tuple(
                Trouble(
                    *result.places.get(each.key, ("", 1, 1)),
                    f"the test {each.sentence}",
                    "mend the rule, or the test",
                )
                for each in failed
            )
        )
    return _Read(encode(result.snapshot), sets=result.sets)


def _check_files(files: Mapping[str, str]) -> None:
    if not 1 <= len(files) <= MAX_FILES:
        raise Refusal("bad_value", f"there are {len(files)} files: expected 1 to {MAX_FILES}", "files")
    for name, text in files.items():
        if not is_policy_file(name) or len(name) > 200 or ".." in name or name.startswith("/"):
            raise Refusal(
                "bad_value",
                f"{name[:60]!r} is no file's name: expected one like rules/law.yaml, tables/terms.csv or sets/banned.txt",
                "files",
            )
        longest = MAX_SET_FILE if name.lower().endswith(".txt") else MAX_FILE
        if len(text) > longest or "\x00" in text:
            raise Refusal("bad_value", f"{name}: expected text of at most {longest} letters", "files")


def _one_line(text: str, place: str, longest: int) -> str:
    written = text.strip()
    if not 1 <= len(written) <= longest or not written.isprintable():
        raise Refusal("bad_value", f"{place}: expected 1 to {longest} letters on one line", place)
    return written


def _written(text: str, place: str, *, required: bool = False) -> str:
    written = text.strip()
    if len(written) > MAX_REASON or "\x00" in written:
        raise Refusal("bad_value", f"{place}: expected at most {MAX_REASON} letters", place)
    if required and not written:
        raise Refusal(
            "bad_value", f"{place}: say why, in a sentence for whoever reads the record later", place
        )
    return written


# Made with the module: see fenqi.policy.snapshot.
_troubles: Final = msgspec.json.Decoder(tuple[Trouble, ...]).decode
