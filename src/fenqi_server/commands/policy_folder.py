"""Reading a policy's folder for a command, and saying what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import LoadResult, load_policy
from fenqi.problems import BadInput

__all__ = ["compiled", "read_folder"]


def read_folder(name: str, *, as_json: bool = True) -> LoadResult:
    """The policy in the folder. Where it is none, every problem stands on standard error, and as JSON on standard output."""
    folder = Path(name)
    if not folder.is_dir():
        raise BadInput("DIR", f"{name}, which is not a folder", "one with *.yaml files")
    result = load_policy(folder)
    if result.snapshot is None:
        for problem in result.problems:
            print(problem, file=sys.stderr)
        if as_json:
            problems = [
                {
                    "file": problem.file,
                    "line": problem.line,
                    "column": problem.column,
                    "text": problem.text,
                    "message": problem.message,
                    "suggestion": problem.suggestion,
                }
                for problem in result.problems
            ]
            print(json.dumps({"ok": False, "problems": problems}, ensure_ascii=False, indent=2))
    return result


def compiled(name: str, *, as_json: bool = False) -> Policy | None:
    """The folder's policy, ready to decide; None where it is none, with every problem said."""
    result = read_folder(name, as_json=as_json)
    return None if result.snapshot is None else compile_policy(result.snapshot, result.sets)
