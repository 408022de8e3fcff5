"""There is one evaluator. Whoever wants to know what a rule says asks the engine's one decision function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "src"
EVALUATORS = {
    "fenqi.policy.conditions": {"compare", "evaluate_plain"},
    "fenqi.policy.timeline": {"violated_at", "since_when", "opens_at"},
}
"""What says whether a condition, or a rule at an instant, holds for given facts."""
MAY_EVALUATE = {
    "fenqi/policy/compile.py",
    "fenqi/policy/verdict.py",
    "fenqi/policy/timeline.py",
    # Reads the channels and regions off a condition: it is given these two facts alone, and nobody's own.
    "fenqi/policy/impacts.py",
    # Asks the row engine about every case that the solver found, before it is told to anybody.
    "fenqi/policy/proof.py",
}
COMPILED = {"first", "second"}
"""The compiled rules of a policy."""
MAY_RUN_RULES = {
    "fenqi/policy/compile.py",
    "fenqi/policy/verdict.py",
    # These look for cases and confirm them: nothing is offered by what they find.
    "fenqi/policy/witness.py",
    "fenqi/checkout/examples.py",
}
MAY_DECIDE = {
    "fenqi/checkout/evaluation.py",
    "fenqi/checkout/nearest.py",
    # Asks what would be without one rule, of the record that the agent looks at.
    "fenqi_server/support/diagnosis.py",
    # A pack's cases worked by hand; a proof's cases; what was in force when, by what was known when.
    "fenqi/policy/pack_reading.py",
    "fenqi/policy/witness.py",
    "fenqi/policy/publications.py",
}
"""Who asks `decide` itself. Everybody else asks for an evaluation of a checkout."""
ASKING_ROOMS = ("fenqi_server/announcements/", "fenqi_server/support/", "fenqi_server/subscriptions/")
READ_OFF = {"facts_of", "clauses_of", "Clause", "Condition"}
"""What a condition is about can be read without asking whether it holds."""
MAY_BE_ASKED = {
    "fenqi.checkout.evaluation": {"evaluate", "Evaluation", "Option", "priced_facts"},
    "fenqi_server.decisions.service": set(),
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text())


def _imported(tree: ast.Module) -> set[tuple[str, str]]:
    """Every name imported, with its module; of `import a.b` too, and of a module taken from its package."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "*") for alias in node.names}
    return found


def _evaluates(tree: ast.Module) -> set[str]:
    taken = set()
    for module, name in _imported(tree):
        if name in EVALUATORS.get(module, ()) or name == "*":
            taken |= {f"{module}.{name}"} if module in EVALUATORS else set()
        if f"{module}.{name}" in EVALUATORS:
            taken.add(f"{module}.{name}")
    return taken


def _runs_rules(tree: ast.Module) -> set[str]:
    """Takes the compiled rules of something called a policy."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in COMPILED
        and (
            (isinstance(node.value, ast.Name) and node.value.id == "policy")
            or (isinstance(node.value, ast.Attribute) and node.value.attr == "policy")
        )
    }


def test_only_the_engine_evaluates_conditions() -> None:
    found = {name: taken for name, tree in _modules() if (taken := _evaluates(tree))}
    assert set(found) <= MAY_EVALUATE, found
    assert "fenqi/policy/verdict.py" in found, "the search finds what it looks for"


def test_only_the_decision_function_runs_a_policys_rules() -> None:
    found = {name: taken for name, tree in _modules() if (taken := _runs_rules(tree))}
    assert set(found) <= MAY_RUN_RULES, found
    assert "fenqi/policy/verdict.py" in found, "the search finds what it looks for"


def test_only_a_checkouts_evaluation_asks_the_decision_function() -> None:
    found = {name for name, tree in _modules() if ("fenqi.policy.verdict", "decide") in _imported(tree)}
    assert found <= MAY_DECIDE, found
    # The same rules without their reasons: for the search of a nearest change, of who gains or
    # loses a plan, and whether a plan whose price depends on the day opens on another.
    only = {name for name, tree in _modules() if ("fenqi.policy.verdict", "in_the_way") in _imported(tree)}
    assert only == {"fenqi/checkout/nearest.py", "fenqi/checkout/evaluation.py", "fenqi/policy/gains.py"}
    assert "fenqi/checkout/evaluation.py" in found, "the search finds what it looks for"


def test_announcements_subscriptions_and_support_ask_for_checkouts_and_nothing_else() -> None:
    asked = set()
    for name, tree in _modules():
        if not name.startswith(ASKING_ROOMS):
            continue
        for module, taken in _imported(tree):
            if module in ("fenqi.policy.conditions", "fenqi.policy.timeline"):
                assert taken in READ_OFF, f"{name} takes {taken}"
            if module == "fenqi.checkout.evaluation":
                asked.add(name)
                assert taken in MAY_BE_ASKED[module], f"{name} takes {taken} of {module}"
    assert "fenqi_server/announcements/recovery.py" in asked, "the search finds what it looks for"


def test_a_second_evaluator_would_be_found() -> None:
    for source in (
        "from fenqi.policy.conditions import evaluate_plain",
        "import fenqi.policy.conditions",
        "from fenqi.policy import conditions",
        "from fenqi.policy.timeline import violated_at as v",
    ):
        assert _evaluates(ast.parse(source)), source
    assert _runs_rules(ast.parse("def f(policy, facts):\n    return policy.first(facts)"))
    assert _runs_rules(ast.parse("def f(self, facts):\n    return self.policy.second[0](facts)"))
