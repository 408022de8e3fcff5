"""Holds what is committed to stand alone, and templates to the Content-Security-Policy.

No absolute path of anyone's machine, no leftover of a merge, no note to do it later; in templates and scripts nothing
that the policy would block: inline styles, inline handlers, inline scripts, `hx-on`.

    python tools/lint_text.py [ROOT]
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Written in pieces, so that this file does not find itself.
EVERYWHERE = {
    r"(?<![\w.-])/(?:work|home|Users|root)/\w": "an absolute path of one machine",
    r"^(?:<{7}|>{7}|={7})(?: |$)": "a leftover of a merge",
    r"\b(?:TO" r"DO|FIX" r"ME)\b": "a note to do it later: do it, or open an issue",
    r"\bshared/(?:DESIGN|style|reference)": "a file that is not in this repository",
    r"breakpoint\(\)|\bpdb\.set_trace": "a debugger",
}
TEMPLATES = {
    r"<[^>]*\sstyle\s*=": "an inline style: the Content-Security-Policy blocks it; use a class",
    r"<[^>]*\son[a-z]+\s*=": "an inline handler: the Content-Security-Policy blocks it; use a listener",
    r"\bhx-on\b": "hx-on evaluates text, which the Content-Security-Policy blocks",
    r"<style\b": "an inline style sheet: the Content-Security-Policy blocks it",
    r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/(?:ld\+)?json\")": "an inline script: the Content-Security-Policy blocks it",
    r"javascript:": "a javascript: address: the Content-Security-Policy blocks it",
    r"\|\s*safe\b|autoescape\s+off": "unescaped text: whoever writes it writes the page",
}
SCRIPTS = {
    r"\beval\(|new Function\(": "evaluates text, which the Content-Security-Policy blocks",
    r"\.style\.\w|setAttribute\(['\"]style": "an inline style from a script: use a class",
}
# Third parties' own words, and machine-written files.
UNREAD = ("LICENSE", "requirements.lock", "package-lock.json")


def main(root: Path) -> int:
    problems = [problem for path in _committed(root) for problem in problems_of(path, root)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def problems_of(path: Path, root: Path) -> Iterator[str]:
    """What is wrong in one file, as `file:line: what`."""
    name = path.relative_to(root).as_posix()
    if name in UNREAD or "/vendor/" in name:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return
    rules = dict(EVERYWHERE)
    if path.suffix in (".html", ".svg"):
        rules |= TEMPLATES
    elif path.suffix == ".js":
        rules |= SCRIPTS
    for pattern, said in rules.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {said}: {match[0].strip()[:80]!r}"


def _committed(root: Path) -> list[Path]:
    """What git knows, and what it would add; in a copy without git, every file that is not hidden."""
    asked = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode == 0:
        return [root / name for name in asked.stdout.split("\0") if name]
    hidden_or_built = {"node_modules", "build", "dist", "__pycache__"}
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") or part in hidden_or_built for part in path.relative_to(root).parts)
    ]


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
