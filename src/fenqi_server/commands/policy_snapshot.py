"""`fenqi policy snapshot` and `fenqi policy key`: a whole policy in one signed file, and the keys for it.

A program with the file and the public key decides as the service does, without it: `fenqi evaluate --snapshot`, or
`fenqi.policy.signing.load`. Its answers are unsigned, and indicative.
"""

from __future__ import annotations

import argparse
import os
import secrets
import stat
from pathlib import Path
from typing import Any, Final

from fenqi.calendars import CalendarError
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.signing import SEED_BYTES, encode_signed, key_id, private_key, public_key, sign, verify
from fenqi.problems import BadInput
from fenqi_server.cli import Failure, note, print_json
from fenqi_server.commands.policy_folder import read_folder

__all__ = ["SNAPSHOTS", "add_snapshot", "file_bytes", "read_private_key"]

MAX_KEY_BYTES: Final = 10_000
MAX_SNAPSHOT_BYTES: Final = 400_000_000

SNAPSHOTS: Final = """\
examples:
  fenqi policy key shop.key                                       a key pair: shop.key (keep it secret) and shop.key.pub
  fenqi policy snapshot policy/ --key shop.key -o mall.snapshot   the folder as one signed file
  fenqi evaluate --snapshot mall.snapshot --trust shop.key.pub cart.json
  curl -H "Authorization: Bearer $KEY" https://pay.example.com/v1/policy/snapshot -o mall.snapshot

The file holds the policy and the members of its sets, and is refused where anything in it was changed. A service with the private key
(FENQI_POLICY_KEY=/path/shop.key) signs what it publishes, and gives it out at /v1/policy/snapshot."""


def add_snapshot(actions: Any) -> None:
    """Add `snapshot` and `key` to what `fenqi policy` can do."""
    snapshot = actions.add_parser(
        "snapshot",
        help="a policy as one signed file",
        description=__doc__,
        epilog=SNAPSHOTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    snapshot.add_argument("folder", metavar="DIR", help="the policy's folder")
    snapshot.add_argument("--key", required=True, metavar="FILE", help="the private key that signs it")
    snapshot.add_argument("-o", "--output", required=True, metavar="FILE", help="where it is written")
    snapshot.add_argument(
        "--from", dest="start", metavar="INSTANT", help="from when on it is in force, on the shop's clock"
    )
    snapshot.set_defaults(run=run_snapshot)
    key = actions.add_parser(
        "key",
        help="a key pair to sign snapshots with",
        description="Make an Ed25519 key pair: FILE for whoever signs, FILE.pub for everybody who is to trust it.",
        epilog=SNAPSHOTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    key.add_argument("file", metavar="FILE", help="the private key's file, which must not be there yet")
    key.set_defaults(run=run_key)


def run_key(arguments: argparse.Namespace) -> int:
    """Make a key pair. The private one is never shown, and readable by its owner alone."""
    private = private_key(secrets.token_bytes(SEED_BYTES))
    public = public_key(private)
    path = Path(arguments.file)
    shown = Path(f"{path}.pub")
    for each in (path, shown):
        if each.exists() or each.is_symlink():
            raise BadInput(
                "FILE", str(each), "a file that is not there", "name another: a key is never overwritten"
            )
    _write(path, private, 0o600)
    _write(shown, public, 0o644)
    print_json({"key": key_id(public), "private": str(path), "public": str(shown)})
    note(f"{path} is secret: whoever has it speaks for the shop's policy.")
    return 0


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        # The process's own mask may have taken bits away, and must not have left any.
        os.fchmod(file.fileno(), mode)
        file.write(data)


def run_snapshot(arguments: argparse.Namespace) -> int:
    """Write a folder's policy as one signed file; 2 where it is none."""
    private = read_private_key(arguments.key)
    loaded = read_folder(arguments.folder)
    if loaded.snapshot is None:
        return 2
    shop = loaded.snapshot.shop
    start = None
    if arguments.start is not None:
        try:
            start = parse_instant(arguments.start, shop.time_zone)
        except (ValueTrouble, CalendarError):
            raise BadInput(
                "--from", arguments.start, f"a time in {shop.time_zone}", "write it like 2026-12-01T00:00"
            ) from None
    data = encode_signed(sign(loaded.snapshot, loaded.sets, private, shop=shop.id, valid_from=start))
    path = Path(arguments.output)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    header, _ = verify(data, [public_key(private)])
    print_json(
        {
            "digest": header.digest,
            "key": header.key,
            "file": str(path),
            "bytes": len(data),
            "sets": {info.name: info.count for info in loaded.snapshot.sets},
        }
    )
    return 0


def read_private_key(name: str, option: str = "--key") -> bytes:
    """A private key's file. Refused where others than its owner may read it."""
    data = file_bytes(name, option, MAX_KEY_BYTES)
    others = stat.S_IMODE(Path(name).stat().st_mode) & 0o077
    if others:
        raise BadInput(option, name, "a file that its owner alone can read", f"chmod 600 {name}")
    return data


def file_bytes(name: str, option: str, most: int) -> bytes:
    """A file's bytes. Raises `BadInput` where it cannot be read or is too large."""
    try:
        with Path(name).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise BadInput(option, name, f"a file that can be read ({error.strerror})") from None
    if len(data) > most:
        raise BadInput(option, name, f"a file of at most {most} bytes")
    return data
