"""Signed snapshots: a whole policy in one file that says who vouches for it.

The file holds the snapshot's own bytes, the members of its sets, and an Ed25519 signature over a header that names the snapshot by its
digest. Whoever has the public key can tell that nothing in it was changed since, and decide by it without a service: the digest
covers the snapshot, the snapshot names its sets by theirs. Keys are PEM files, as other programs write and read them.

Random bytes and files come from outside: a key is made of 32 bytes given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.sets import Sets, decode_members, encode_members, members_in
from fenqi.policy.snapshot import Snapshot, SnapshotError, UnknownFormat, decode, encode
from fenqi.problems import BadInput

__all__ = [
    "SEED_BYTES",
    "SIGNED_FORMAT",
    "BadKey",
    "BadSignature",
    "Header",
    "NotSigned",
    "SignedSnapshot",
    "Truncated",
    "UnknownKey",
    "decode_signed",
    "encode_signed",
    "key_id",
    "load",
    "private_key",
    "public_key",
    "sign",
    "sign_header",
    "signed",
    "verify",
]

SIGNED_FORMAT: Final = "fenqi/signed-snapshot@1"
_MAGIC: Final = SIGNED_FORMAT.encode() + b"\n"
_FAMILY: Final = b"fenqi/signed-snapshot@"
SEED_BYTES: Final = 32


class NotSigned(SnapshotError):
    """A file that is no signed snapshot at all."""


class Truncated(SnapshotError):
    """A signed snapshot whose end is missing."""


class UnknownKey(SnapshotError):
    """A snapshot signed with a key that is not among those trusted."""


class BadSignature(SnapshotError):
    """A snapshot that is not what was signed: something in it was changed, or the signature is another's."""


class BadKey(BadInput):
    """Bytes that are no Ed25519 key in PEM."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is signed: the snapshot's digest, the key's id, and from when on the snapshot is in force, where that is said.

    Instants are epoch seconds. `shop` is the code of the shop that published it.
    """

    digest: str
    key: str
    shop: str = ""
    valid_from: int | None = None
    recorded_at: int | None = None


class SignedSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A file's parts, each as the bytes that count: header, signature, snapshot, and the sets' members by digest."""

    header: bytes
    signature: bytes
    snapshot: bytes
    sets: dict[str, bytes]


_parts: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes, dict[str, bytes]])
_header: Final = msgspec.json.Decoder(Header)


# --- keys ---------------------------------------------------------------------------------------------------------


def private_key(seed: bytes) -> bytes:
    """A private key as PEM, out of 32 random bytes. Raises `BadKey` for another number of them."""
    if len(seed) != SEED_BYTES:
        raise BadKey("seed", f"{len(seed)} bytes", f"{SEED_BYTES} random bytes")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_key(private: bytes) -> bytes:
    """The public key of a private one, both as PEM. Raises `BadKey`."""
    key = _private(private).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(public: bytes) -> str:
    """The name of a public key (PEM): `ed25519:` and the first 16 hexadecimal digits of SHA-256 over its 32 bytes.

    >>> key_id(public_key(private_key(bytes(32))))
    'ed25519:139e3940e64b5491'
    """
    return _id_of(_public(public))


def _id_of(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"ed25519:{hashlib.sha256(raw).hexdigest()[:16]}"


def _private(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise BadKey(
            "private key", "not readable", "an Ed25519 private key in PEM, without a password"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(
            "private key", type(key).__name__, "an Ed25519 private key", "make one: fenqi policy key"
        )
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise BadKey(
            "public key", "not readable", "an Ed25519 public key in PEM", "the file that ends in .pub"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey("public key", type(key).__name__, "an Ed25519 public key")
    return key


# --- signing ------------------------------------------------------------------------------------------------------


def sign(
    snapshot: Snapshot,
    sets: Sets,
    private: bytes,
    *,
    shop: str = "",
    valid_from: int | None = None,
    recorded_at: int | None = None,
) -> SignedSnapshot:
    """Sign a snapshot with the members of its sets. Raises `BadKey`, and `MissingSet` where a set is not there."""
    encoded = encode(snapshot)
    header, signature = sign_header(
        encoded, private, shop=shop, valid_from=valid_from, recorded_at=recorded_at
    )
    return signed(header, signature, snapshot, sets)


def sign_header(
    encoded: bytes,
    private: bytes,
    *,
    shop: str = "",
    valid_from: int | None = None,
    recorded_at: int | None = None,
) -> tuple[bytes, bytes]:
    """A header for an encoded snapshot, and its signature: what is kept of a signature beside the snapshot."""
    key = _private(private)
    header = msgspec.json.encode(
        Header(
            digest=_digest(encoded),
            key=_id_of(key.public_key()),
            shop=shop,
            valid_from=valid_from,
            recorded_at=recorded_at,
        )
    )
    return header, key.sign(_MAGIC + header)


def signed(header: bytes, signature: bytes, snapshot: Snapshot, sets: Sets) -> SignedSnapshot:
    """A signed snapshot of its parts. Raises `MissingSet` where a set is not there."""
    known = members_in(snapshot, sets)
    return SignedSnapshot(
        header=header,
        signature=signature,
        snapshot=encode(snapshot),
        sets={name: encode_members(members) for name, members in known.items()},
    )


def encode_signed(parts: SignedSnapshot) -> bytes:
    """The file: a line that names the format, then its parts as MessagePack."""
    return _MAGIC + msgspec.msgpack.encode((parts.header, parts.signature, parts.snapshot, parts.sets))


def _digest(encoded: bytes) -> str:
    return "sha256:" + hashlib.sha256(encoded).hexdigest()


# --- reading ------------------------------------------------------------------------------------------------------


def decode_signed(data: bytes) -> SignedSnapshot:
    """The parts of a file, nothing of it verified yet. Raises `NotSigned`, `UnknownFormat` and `Truncated`."""
    if not data.startswith(_MAGIC):
        line = data.partition(b"\n")[0][:60]
        if line.startswith(_FAMILY) and b"\n" in data[:80]:
            raise UnknownFormat(
                "file", line.decode(errors="replace"), SIGNED_FORMAT, "use the version of Fenqi that wrote it"
            )
        if _MAGIC.startswith(data):
            raise Truncated("file", f"{len(data)} bytes", "a whole signed snapshot", "fetch or copy it again")
        raise NotSigned("file", "something else", f"a signed snapshot, which begins with {SIGNED_FORMAT}")
    try:
        parts = _parts.decode(data[len(_MAGIC) :])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if "truncated" in str(error):
            raise Truncated(
                "file", f"{len(data)} bytes", "a whole signed snapshot", "fetch or copy it again"
            ) from error
        raise NotSigned("file", str(error), "the parts of a signed snapshot") from error
    header, signature, snapshot, sets = parts
    return SignedSnapshot(header=header, signature=signature, snapshot=snapshot, sets=sets)


def verify(data: bytes, trusted: Iterable[bytes]) -> tuple[Header, SignedSnapshot]:
    """The header and the parts of a file that one of the trusted public keys (PEM) has signed, unchanged.

    Raises what `decode_signed` raises, `UnknownKey`, `BadSignature`, and `BadKey` for a trusted key that is none. The sets are
    checked as they are loaded.
    """
    parts = decode_signed(data)
    try:
        header = _header.decode(parts.header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotSigned("file", str(error), "the header of a signed snapshot") from error
    keys = {_id_of(key): key for key in map(_public, trusted)}
    key = keys.get(header.key)
    if key is None:
        known = ", ".join(sorted(keys)) or "no key at all"
        raise UnknownKey(
            "key", header.key, f"one that is trusted: {known}", "trust its public key, if you do"
        )
    try:
        key.verify(parts.signature, _MAGIC + parts.header)
    except InvalidSignature:
        raise BadSignature(
            "signature", "not the key's", f"a signature of {header.key} over this header", _REFETCH
        ) from None
    found = _digest(parts.snapshot)
    if found != header.digest:
        raise BadSignature("snapshot", found, f"{header.digest}, which was signed", _REFETCH)
    return header, parts


_REFETCH: Final = "it was changed or damaged: fetch it again from where it was signed"


def load(data: bytes, trusted: Iterable[bytes]) -> Policy:
    """The policy in a file, ready to decide: verified, read and compiled.

    Raises what `verify` raises; `UnknownFormat`, `UnknownSemantics` and `SnapshotError` for a snapshot that this version does
    not read; `MissingSet` for a set that is not there or not what its digest names.
    """
    _, parts = verify(data, trusted)
    snapshot = decode(parts.snapshot)
    named = {info.digest for info in snapshot.sets}
    sets = {name: decode_members(members, name) for name, members in parts.sets.items() if name in named}
    return compile_policy(snapshot, sets)
