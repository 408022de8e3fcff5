"""Signed snapshots: a file is believed whole, or not at all, and says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from random import Random

import msgspec
import pytest

from fenqi.policy.compile import compile_policy
from fenqi.policy.document import LoadResult, read_policy
from fenqi.policy.sets import MissingSet
from fenqi.policy.signing import (
    SIGNED_FORMAT,
    BadKey,
    BadSignature,
    NotSigned,
    SignedSnapshot,
    Truncated,
    UnknownKey,
    decode_signed,
    encode_signed,
    key_id,
    load,
    private_key,
    public_key,
    sign,
    verify,
)
from fenqi.policy.snapshot import SnapshotError, UnknownFormat, UnknownSemantics, digest, encode
from fenqi.policy.verdict import decide
from fenqi_server.cli import main

from .policies import NOON
from .test_sets import FILES

# RFC 8032, section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
PRIVATE = private_key(SEED)
TRUSTED = [public_key(PRIVATE)]
OTHER = private_key(bytes(range(32)))


def read() -> LoadResult:
    result = read_policy(FILES)
    assert result.snapshot is not None
    return result


def file(**more: int) -> bytes:
    result = read()
    assert result.snapshot is not None
    return encode_signed(sign(result.snapshot, result.sets, PRIVATE, shop="mall", **more))


def changed(**parts: object) -> bytes:
    return encode_signed(msgspec.structs.replace(decode_signed(file()), **parts))


def test_a_key_is_named_by_its_public_half() -> None:
    pem = public_key(PRIVATE).decode()
    # SubjectPublicKeyInfo of Ed25519 (RFC 8410): a fixed head of 12 bytes, then the key.
    import base64

    body = base64.b64decode("".join(pem.splitlines()[1:-1]))
    assert body == bytes.fromhex("302a300506032b6570032100") + PUBLIC
    assert key_id(pem.encode()) == "ed25519:" + hashlib.sha256(PUBLIC).hexdigest()[:16]


def test_what_was_signed_decides_as_the_policy_itself() -> None:
    result = read()
    assert result.snapshot is not None
    policy = load(file(), TRUSTED)
    own = compile_policy(result.snapshot, result.sets)
    assert policy.digest == own.digest
    for merchant in ("m-1", "m-9"):
        facts = {"clock.now": NOON, "merchant.id": merchant, "cart.tags": frozenset({"gold"})}
        assert decide(policy, facts) == decide(own, facts)


def test_the_header_says_who_signed_and_from_when_on_it_holds() -> None:
    header, parts = verify(file(valid_from=NOON, recorded_at=NOON - 60), TRUSTED)
    result = read()
    assert result.snapshot is not None
    assert (header.digest, header.key) == (digest(result.snapshot), key_id(TRUSTED[0]))
    assert (header.shop, header.valid_from, header.recorded_at) == ("mall", NOON, NOON - 60)
    assert parts.snapshot == encode(result.snapshot)
    # The same policy, key and instants are the same bytes.
    assert file(valid_from=NOON) == file(valid_from=NOON)


def test_a_key_that_is_not_trusted_is_told_by_its_name() -> None:
    with pytest.raises(
        UnknownKey,
        match=rf"key is {key_id(TRUSTED[0])}: expected one that is trusted: {key_id(public_key(OTHER))}",
    ):
        load(file(), [public_key(OTHER)])
    with pytest.raises(UnknownKey, match="no key at all"):
        load(file(), [])
    assert load(file(), [public_key(OTHER), *TRUSTED])


def test_a_signature_of_another_key_under_this_ones_name_is_a_bad_one() -> None:
    result = read()
    assert result.snapshot is not None
    others = sign(result.snapshot, result.sets, OTHER)
    with pytest.raises(BadSignature, match="signature is not the key's"):
        load(changed(signature=others.signature), TRUSTED)
    header = json.loads(decode_signed(file()).header)
    later = json.dumps({**header, "valid_from": NOON}, separators=(",", ":")).encode()
    with pytest.raises(BadSignature):
        load(changed(header=later), TRUSTED)


def test_another_snapshot_under_the_signature_is_refused() -> None:
    snapshot = decode_signed(file()).snapshot
    other = snapshot.replace(b'"unknown":"allow"', b'"unknown":"block"')
    assert other != snapshot
    with pytest.raises(BadSignature, match="snapshot is sha256:"):
        load(changed(snapshot=other), TRUSTED)


def test_sets_are_those_that_the_snapshot_names() -> None:
    sets = decode_signed(file()).sets
    (vip,) = [name for name, members in sets.items() if members.startswith(b"m-1")]
    with pytest.raises(MissingSet, match="the members that have this digest"):
        load(changed(sets={**sets, vip: b"m-1\nm-9\n"}), TRUSTED)
    with pytest.raises(MissingSet, match=r"sets\.vip_merchants is not there"):
        load(changed(sets={name: members for name, members in sets.items() if name != vip}), TRUSTED)
    # One that nobody asks about does no harm.
    assert load(changed(sets={**sets, "sha256:" + "0" * 64: b"x\n"}), TRUSTED)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_file_whose_end_is_missing_is_told_as_that(share: float) -> None:
    data = file()
    with pytest.raises(
        Truncated, match=r"file is \d+ bytes: expected a whole signed snapshot; fetch or copy it again"
    ):
        load(data[: int(len(data) * share)], TRUSTED)


@pytest.mark.parametrize("data", [b"%PDF-1.4 ...", b"fenqi", b"{}", SIGNED_FORMAT.encode() + b"\n{}"])
def test_what_is_no_signed_snapshot_is_told_as_that(data: bytes) -> None:
    with pytest.raises((NotSigned, Truncated)):
        load(data, TRUSTED)
    with pytest.raises(NotSigned, match="which begins with fenqi/signed-snapshot@1"):
        load(b"%PDF-1.4 ...", TRUSTED)


def test_a_format_and_a_meaning_of_later_days_are_errors_of_their_own() -> None:
    with pytest.raises(
        UnknownFormat, match="file is fenqi/signed-snapshot@2: expected fenqi/signed-snapshot@1"
    ):
        load(file().replace(b"@1\n", b"@2\n", 1), TRUSTED)
    result = read()
    assert result.snapshot is not None
    for field, error in (({"semantics": 9}, UnknownSemantics), ({"format": "fenqi/policy@9"}, UnknownFormat)):
        later = msgspec.structs.replace(result.snapshot, **field)
        with pytest.raises(error):
            load(encode_signed(sign(later, result.sets, PRIVATE)), TRUSTED)


def test_no_byte_of_a_file_can_be_changed_unseen() -> None:
    data = file()
    chance = Random(3)
    for _ in range(300):
        at = chance.randrange(len(data))
        broken = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        with pytest.raises(SnapshotError):
            load(broken, TRUSTED)


def test_what_is_no_key_is_told_as_that() -> None:
    with pytest.raises(BadKey, match="seed is 31 bytes: expected 32 random bytes"):
        private_key(bytes(31))
    with pytest.raises(BadKey, match="expected an Ed25519 private key in PEM"):
        public_key(b"nothing")
    with pytest.raises(BadKey, match="expected an Ed25519 public key in PEM"):
        load(file(), [PRIVATE])
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    curve = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(BadKey, match="expected an Ed25519 private key; make one: fenqi policy key"):
        public_key(curve)


def test_the_parts_are_bytes_that_can_be_kept_apart() -> None:
    parts = decode_signed(file())
    assert isinstance(parts, SignedSnapshot)
    assert encode_signed(parts) == file()


# --- the commands -------------------------------------------------------------------------------------------------


def test_a_key_pair_a_snapshot_and_an_answer_without_the_policys_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "policy"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    key, out = str(tmp_path / "shop.key"), str(tmp_path / "mall.snapshot")
    assert main(["policy", "key", key]) == 0
    said = capsys.readouterr()
    assert "PRIVATE" not in said.out + said.err
    assert stat.S_IMODE((tmp_path / "shop.key").stat().st_mode) == 0o600
    assert main(["policy", "key", key]) == 2
    assert "a key is never overwritten" in capsys.readouterr().err

    assert main(["policy", "snapshot", str(folder), "--key", key, "-o", out, "--from", "2026-12-01"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sets"] == {"vip_merchants": 3, "banned": 2}
    request = tmp_path / "cart.json"
    request.write_text(
        json.dumps(
            {
                "lines": [
                    {"sku": "p", "title": "Pen", "category": "pens", "kind": "goods", "quantity": 1,
                     "unit_price_minor": 300_000, "seller": "mall"}
                ],
                "currency": "CNY",
                "channel": "web",
                "at": "2026-11-23T12:00:00+08:00",
                "facts": {"merchant.id": "m-2"},
            }
        )
    )  # fmt: skip
    assert main(["evaluate", "--snapshot", out, "--trust", f"{key}.pub", str(request)]) == 0
    evaluated = capsys.readouterr()
    answer = json.loads(evaluated.out)
    # Signed for later, it answers all the same, and says so.
    assert "in force from 2026-12-01T00:00:00+08:00 only" in evaluated.err
    assert (answer["policy"], answer["indicative"], answer["decision"]) == (told["digest"], True, None)
    assert "mall_3" in {offer["plan"] for offer in answer["offers"]}
    assert all(offer["quote"] is None for offer in answer["offers"])
    # The same as from the folder itself.
    assert main(["evaluate", "--policy", str(folder), str(request)]) == 0
    assert json.loads(capsys.readouterr().out) == answer


def test_what_is_wrong_with_a_file_or_a_key_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        assert main(list(words)) == 2
        return capsys.readouterr().err

    key, out = tmp_path / "shop.key", tmp_path / "mall.snapshot"
    key.write_bytes(PRIVATE)
    key.chmod(0o644)
    (tmp_path / "shop.key.pub").write_bytes(TRUSTED[0])
    out.write_bytes(file())
    assert "expected a file that its owner alone can read; chmod 600" in refused(
        "policy", "snapshot", str(tmp_path), "--key", str(key), "-o", str(out)
    )
    ask = ("evaluate", "--snapshot", str(out), "cart.json")
    assert "--trust is missing" in refused(*ask)
    assert "--trust is nowhere.pub: expected a file that can be read" in refused(
        *ask, "--trust", "nowhere.pub"
    )
    out.write_bytes(file()[:500])
    assert "expected a whole signed snapshot" in refused(*ask, "--trust", f"{key}.pub")
