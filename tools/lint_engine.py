"""Holds the engine to values in, values out, and the service to one clock.

In `src/fenqi`: no clock, no randomness, no network, no environment, no files (the policy folder is read by
`policy/document.py` alone, the packs that come with the package by `policy/packs.py`), and no float (`terms/rates.py`
and `terms/cost.py`, and `terms/columns.py` for whole columns of them, solve yearly rates in floats, and round to integers before they answer). In
`src/fenqi_server`: only `clock.py` asks what time it is.

    python tools/lint_engine.py [ROOT]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

FORBIDDEN_MODULES = {
    "random": "randomness comes in as an argument",
    "secrets": "randomness comes in as an argument",
    "uuid": "ids come in as arguments",
    "time": "instants come in as arguments",
    "socket": "the engine has no network",
    "http": "the engine has no network",
    "urllib": "the engine has no network",
    "ssl": "the engine has no network",
    "asyncio": "the engine waits for nothing",
    "subprocess": "the engine starts nothing",
    "threading": "the engine has no state to share",
    "multiprocessing": "the engine starts nothing",
    "importlib": "the engine says what it imports",
    "statistics": "the engine counts exactly",
    "tempfile": "the engine writes nothing",
    "shutil": "the engine writes nothing",
    "os": "the engine reads no environment and no files",
    "io": "the engine reads no files",
    "sqlite3": "the engine has no database",
    "django": "the engine knows no framework",
    "psycopg": "the engine has no database",
    "fenqi_server": "the service calls the engine, never the other way",
}
# `urllib.parse` splits a text; it opens nothing.
ALLOWED_MODULES = {"urllib.parse"}
READS_THE_POLICY_FOLDER = "policy/document.py"
READS_SHIPPED_DATA = "policy/packs.py"
# Yearly rates: one at a time, and in NumPy columns. Money is whole numbers in both.
SOLVE_IN_FLOATS = ("terms/rates.py", "terms/cost.py", "terms/columns.py")
READING_CALLS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "iterdir",
    "glob",
    "rglob",
    "unlink",
}
FLOAT_FUNCTIONS = {"sqrt", "log", "log2", "log10", "log1p", "exp", "expm1", "pow", "fsum", "sin", "cos"}
CLOCK_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("timezone", "now"),
    ("timezone", "localdate"),
    ("timezone", "localtime"),
}
ASKS_THE_CLOCK = "clock.py"
# Ways to reach what is forbidden without naming it.
ROUNDABOUT = {"__import__", "eval"}


def main(root: Path) -> int:
    problems = [*engine_problems(root / "src" / "fenqi"), *clock_problems(root / "src" / "fenqi_server")]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def engine_problems(engine: Path) -> Iterator[str]:
    """What the engine's modules do that values in, values out does not."""
    for path in sorted(engine.rglob("*.py")):
        name = path.relative_to(engine).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        exact, names = _Exact(tree), _names(tree)
        for node in ast.walk(tree):
            for said in (
                *_imports(node, reads_files=name == READS_THE_POLICY_FOLDER),
                *_clock(node, names),
                *(() if name in (READS_THE_POLICY_FOLDER, READS_SHIPPED_DATA) else _files(node)),
                *(() if name in SOLVE_IN_FLOATS else _floats(node, exact, names)),
            ):
                yield f"{path}:{getattr(node, 'lineno', 1)}: {said}"


def clock_problems(service: Path) -> Iterator[str]:
    """Where the service asks the time elsewhere than at its one clock."""
    for path in sorted(service.rglob("*.py")):
        if path.relative_to(service).as_posix() == ASKS_THE_CLOCK or "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        names = _names(tree)
        for node in ast.walk(tree):
            for said in _clock(node, names):
                yield f"{path}:{getattr(node, 'lineno', 1)}: {said}"


def _names(tree: ast.Module) -> dict[str, str]:
    """What the module calls something, and what that is called where it comes from: `import datetime as dt`."""
    return {
        alias.asname: alias.name.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def _imports(node: ast.AST, *, reads_files: bool) -> Iterator[str]:
    if isinstance(node, ast.Name) and node.id in ROUNDABOUT:
        yield f"uses {node.id}: the engine says what it imports and computes"
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [node.module]
    else:
        return
    for name in names:
        top = name.partition(".")[0]
        if (
            top in FORBIDDEN_MODULES
            and name not in ALLOWED_MODULES
            and not (reads_files and top in ("os", "io"))
        ):
            yield f"imports {name}: {FORBIDDEN_MODULES[top]}"


def _clock(node: ast.AST, names: Mapping[str, str]) -> Iterator[str]:
    # The mention is enough: `now = datetime.now` is asked later, under another name.
    if isinstance(node, ast.Attribute):
        of = node.value
        owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
        owner = names.get(owner, owner)
        if (owner, node.attr) in CLOCK_CALLS:
            yield f"asks the clock: {owner}.{node.attr}()"


def _files(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        called = node.func
        name = (
            called.id
            if isinstance(called, ast.Name)
            else called.attr
            if isinstance(called, ast.Attribute)
            else ""
        )
        if name in READING_CALLS:
            yield f"touches files: {name}(); only {READS_THE_POLICY_FOLDER} reads, and only the policy's folder"


def _floats(node: ast.AST, exact: _Exact, names: Mapping[str, str]) -> Iterator[str]:
    only = f"only {SOLVE_IN_FLOATS[0]} may"
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and node not in exact.likeness:
        yield f"has the float {node.value!r}; {only}"
    elif isinstance(node, ast.Name) and node.id in ("float", "complex"):
        yield f"makes a float; {only}"
    elif isinstance(node, ast.ImportFrom) and node.module == "math":
        for alias in node.names:
            if alias.name in FLOAT_FUNCTIONS:
                yield f"imports math.{alias.name}, which answers with a float; {only}"
    elif (
        isinstance(node, ast.BinOp | ast.AugAssign)
        and isinstance(node.op, ast.Div)
        and not exact.division(node)
    ):
        yield f"divides with `/`, which makes a float of two ints: use Fraction(a, b), `//` or divmod; {only}"
    elif (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and names.get(node.value.id, node.value.id) == "math"
        and node.attr in FLOAT_FUNCTIONS
    ):
        yield f"calls math.{node.attr}, which answers with a float; {only}"


class _Exact:
    """Which divisions of a module visibly have a Fraction or a Decimal on one side, and so stay exact.

    Visibly: built by `Fraction(...)`, annotated so, answered by a function of the module that is annotated so, or
    computed from such. What cannot be seen here cannot be seen by a reader either.
    """

    def __init__(self, tree: ast.Module) -> None:
        functions = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        self._makers = {"Fraction", "Decimal", "Path"} | {
            function.name for function in functions if _names_exact(function.returns)
        }
        self._fields = {
            node.target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and _names_exact(node.annotation)
        }
        self._names: dict[ast.AST, set[str]] = {}
        for function in functions:
            known = {
                argument.arg
                for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
                if _names_exact(argument.annotation)
            }
            known |= self._fields
            for inner in ast.walk(function):
                if isinstance(inner, ast.Assign) and self._of(inner.value, known):
                    known |= {target.id for target in inner.targets if isinstance(target, ast.Name)}
            for inner in ast.walk(function):
                self._names.setdefault(inner, set()).update(known)
        # How alike two words are is no amount: `get_close_matches(..., cutoff=0.6)`.
        self.likeness = {
            keyword.value
            for keyword in ast.walk(tree)
            if isinstance(keyword, ast.keyword) and keyword.arg == "cutoff"
        }

    def division(self, node: ast.BinOp | ast.AugAssign) -> bool:
        known = self._names.get(node, self._fields)
        sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
        return any(self._of(side, known) for side in sides)

    def _of(self, node: ast.expr, known: set[str]) -> bool:
        match node:
            case ast.Name(id=name):
                return name in known
            case ast.Attribute(attr=name):
                return name in self._fields
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return name in self._makers
            case ast.BinOp(left=left, right=right):
                return self._of(left, known) or self._of(right, known)
            case ast.UnaryOp(operand=operand):
                return self._of(operand, known)
            case ast.Constant(value=str()):
                return True  # a path's next part
        return False


def _names_exact(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(
        isinstance(node, ast.Name) and node.id in ("Fraction", "Decimal", "Path")
        for node in ast.walk(annotation)
    )


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
