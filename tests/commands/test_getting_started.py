"""docs/getting-started.md from its first command to its last, as a reader types it, on a service that really runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.house.test_readme import holds
from tests.leftovers import own_folder

from fenqi_server.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "getting-started.md"

# The repository's copy of each file that the page has its reader write.
FILES = {
    "policy/shop.yaml": "examples/policy/shop.yaml",
    "policy/rules.yaml": "examples/policy/rules.yaml",
    "policy/pause.yaml": "examples/pause.yaml",
    "cart.json": "examples/api/corner.json",
}

# `make test` needs nothing but Python: where there is no curl, this answers to its name.
_CURL = """
import sys, urllib.request
silent, url, *options = sys.argv[1:]
pairs = list(zip(options[::2], options[1::2]))
headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
data = next(open(value[1:], "rb").read() for option, value in pairs if option == "-d")
with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
    sys.stdout.buffer.write(answer.read())
"""


class Step(NamedTuple):
    """A block of the page: its kind, its text, and the file named right before it, if any."""

    kind: str
    text: str
    file: str | None


def steps() -> list[Step]:
    page = PAGE.read_text(encoding="utf-8")
    found = []
    for block in re.finditer(r"```(console|yaml|json)\n(.*?)```", page, re.DOTALL):
        named = re.findall(r"`([\w./-]+\.(?:yaml|json))`", page[: block.start()].rstrip().splitlines()[-1])
        found.append(Step(block[1], block[2], named[-1] if named else None))
    return found


def commands(step: Step) -> list[str]:
    lines = step.text.splitlines()
    assert all(line.startswith("$ ") for line in lines), "every line of a console block is a command"
    return [line[2:] for line in lines]


@pytest.fixture
def place() -> Iterator[Path]:
    # Short, and passable by `nobody`, as whom PostgreSQL runs for root.
    folder = own_folder()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_files_of_the_page_are_those_of_the_examples() -> None:
    written = {step.file: step.text for step in steps() if step.file}
    assert set(written) == set(FILES)
    for name, text in written.items():
        assert text == (ROOT / FILES[name]).read_text(encoding="utf-8"), name


def test_every_command_of_the_page_runs_and_answers_as_it_says(place: Path) -> None:
    port = free_port()
    bin_dir = place / "bin"
    bin_dir.mkdir()
    if shutil.which("curl") is None:
        (bin_dir / "curl.py").write_text(_CURL)
        (bin_dir / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} {bin_dir / "curl.py"} "$@"\n')
        (bin_dir / "curl").chmod(0o755)
    here = place / "here"
    here.mkdir(mode=0o711)

    script = ["set -euo pipefail"]
    shown: list[tuple[int, Any]] = []  # what the page shows, beside the number of the answer
    outputs = 0
    for number, step in enumerate(steps()):
        if step.file:
            staged = place / f"file-{number}"
            staged.write_text(step.text, encoding="utf-8")
            target = shlex.quote(step.file)
            script.append(f"mkdir -p $(dirname {target}) && cp {staged} {target}")
        elif step.kind == "json":
            shown.append((outputs - 1, json.loads(step.text)))
        else:
            for command in commands(step):
                if command.startswith("pip install"):
                    continue  # the tests' own environment is what that makes
                command = command.replace("8000", str(port))
                if command.startswith("fenqi serve"):
                    script += [
                        f"{command} > {place}/serve.out 2>&1 &",
                        "trap 'kill -TERM $!; wait $!' EXIT",
                        f"for i in $(seq 300); do grep -q '^Fenqi serves' {place}/serve.out && break; sleep 0.1; done",
                        f"grep '^Fenqi serves http://127.0.0.1:{port}$' {place}/serve.out",
                    ]
                elif command.startswith(("KEY=", "OLD=")) or "> key.json" in command:
                    script.append(command)
                else:
                    script.append(f"{command} > {place}/out-{outputs}")
                    outputs += 1
                if command.startswith("fenqi policy publish"):
                    script.append("sleep 1.2")  # "sees it within a second"
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("FENQI_", "DJANGO_"))
    }
    environ["FENQI_POSTGRES_HOME"] = str(place / "root")
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), str(bin_dir), environ["PATH"]])
    environ["PYTHONUTF8"] = "1"
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=here, env=environ, capture_output=True, text=True, check=False,
        timeout=180,
    )  # fmt: skip
    served = (place / "serve.out").read_text() if (place / "serve.out").exists() else "never started"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nserve: {served}"

    answers = [json.loads((place / f"out-{index}").read_text(encoding="utf-8")) for index in range(outputs)]
    assert len(shown) == 3
    for index, expected in shown:
        answer = answers[index]
        assert holds(answer, expected) == [], PAGE.name
        assert {offer["plan"] for offer in answer["offers"]} == {
            offer["plan"] for offer in expected["offers"]
        }
    history, rollback = answers[-2:]
    assert rollback["published"]
    assert rollback["digest"] == history["publications"][0]["digest"]
    assert "Traceback" not in done.stderr + served
