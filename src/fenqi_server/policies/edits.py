"""Editing a policy's YAML files by program, as a person would: what was written stays, comments and order included.

Every scalar is text here, as it is where the files are read, so that an edit never turns `no` into false or a date into
another. Each function takes the files and returns them anew; nothing is checked beyond the place of the edit, for the whole is read
and checked before it is published.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

from fenqi.policy.snapshot import FORMAT
from fenqi.problems import BadInput
from fenqi.texts import Text

__all__ = ["CHANGES_FILE", "Files", "add", "change", "entry", "remove", "written"]

Files = Mapping[str, str]
CHANGES_FILE: Final = "90-changes.yaml"
"""Where what is new goes, if no file of the policy has that kind of thing yet."""
_WIDTH: Final = 4096  # a line that somebody wrote is not broken anew


class _AllText(VersionedResolver):
    """Plain words are text and nothing else."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return super().resolve(kind, value, (False, True) if kind is ScalarNode else implicit)


def entry(files: Files, section: str, name: str) -> dict[str, Any] | None:
    """The entry of that id in a section, as it is written; None where there is none."""
    found = _find(files, section, name)
    return None if found is None else _plain(found[1][found[2]])


def add(files: Files, section: str, value: Mapping[str, Any], *, file: str = CHANGES_FILE) -> dict[str, str]:
    """Add an entry at the end of a section of `file`, which is made if it is not there. The id must be new."""
    name = str(value["id"])
    if _find(files, section, name) is not None:
        raise BadInput(
            f"{section}.{name}",
            name,
            "an id that is not taken",
            "change the entry that has it, or use another id",
        )
    tree = _read(files[file]) if files.get(file, "").strip() else CommentedMap({"format": FORMAT})
    if section not in tree:
        tree[section] = CommentedSeq()
    tree[section].append(_made(value))
    return {**files, file: _write(tree)}


def change(files: Files, section: str, name: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Set fields of an entry; None takes a field out. Raises `BadInput` where there is no such entry."""
    file, seq, at, tree = _required(files, section, name)
    target = seq[at]
    for key, value in fields.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(target.get(key), CommentedMap):
            _merge(target[key], value)
        else:
            target[key] = _made(value)
    return {**files, file: _write(tree)}


def remove(files: Files, section: str, name: str) -> dict[str, str]:
    """Take an entry out. Raises `BadInput` where there is none."""
    file, seq, at, tree = _required(files, section, name)
    item = seq[at]
    if seq.fa.flow_style() or item.lc.line is None:
        del seq[at]
        return {**files, file: _write(tree)}
    # By lines: YAML's tree keeps a comment with what stands above it, and would take the next entry's along.
    lines = files[file].splitlines(keepends=True)
    first = tree.lc.key(section)[0] if len(seq) == 1 else item.lc.line
    later = [one.lc.line for one in seq[at + 1 :]]
    later += [tree.lc.key(other)[0] for other in tree if tree.lc.key(other)[0] > item.lc.line]
    last = min(later, default=len(lines))
    while last > first + 1 and lines[last - 1].strip()[:1] in ("", "#"):
        last -= 1
    return {**files, file: "".join(lines[:first] + lines[last:])}


def written(text: Text) -> dict[str, str]:
    """A text of two languages as the files have it."""
    return {"zh-CN": text.zh_cn, "en": text.en}


def _merge(target: CommentedMap, value: Mapping[str, Any]) -> None:
    for key in [key for key in target if key not in value]:
        del target[key]
    for key, part in value.items():
        target[key] = _made(part)


def _required(files: Files, section: str, name: str) -> tuple[str, CommentedSeq, int, CommentedMap]:
    found = _find(files, section, name)
    if found is None:
        raise BadInput(
            f"{section}.{name}",
            name,
            f"an entry of {section}",
            "look at the policy in force: the id is not there",
        )
    return found


def _find(files: Files, section: str, name: str) -> tuple[str, CommentedSeq, int, CommentedMap] | None:
    key = "name" if section == "facts" else "id"
    for file in sorted(files):
        if not file.lower().endswith((".yaml", ".yml")):
            continue
        tree = _read(files[file])
        for at, one in enumerate(tree.get(section) or ()):
            if isinstance(one, Mapping) and one.get(key) == name:
                return file, tree[section], at, tree
    return None


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.Resolver = _AllText
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _read(text: str) -> CommentedMap:
    tree = _yaml().load(text)
    return tree if isinstance(tree, CommentedMap) else CommentedMap()


def _write(tree: CommentedMap) -> str:
    out = io.StringIO()
    _yaml().dump(tree, out)
    return out.getvalue()


def _made(value: Any) -> Any:
    """A value as nodes: mappings and lists of short words on one line, as people write them."""
    if isinstance(value, Mapping):
        made = CommentedMap({key: _made(part) for key, part in value.items() if part is not None})
        if all(isinstance(part, str) for part in value.values()) and sum(map(len, value.values())) < 80:
            made.fa.set_flow_style()
        return made
    if isinstance(value, (list, tuple)):
        seq = CommentedSeq([_made(part) for part in value])
        if all(isinstance(part, str) for part in value):
            seq.fa.set_flow_style()
        return seq
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(value)
