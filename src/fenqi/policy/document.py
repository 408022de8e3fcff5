"""Policy documents: the files that people write, read into a snapshot.

They are YAML, with band tables beside them as `tables/NAME.csv` and long lists of names as `sets/NAME.txt`. Every scalar is read as text and typed by its field or its fact, so that `no`, `012` and `22:30` mean what they say.
What is wrong comes back as values, all of it and not only the first, each with file, line, column, the text found
and, where there is one, what was perhaps meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final, get_args

import msgspec
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fenqi.calendars import CalendarError, format_instant, local_date, zone_of
from fenqi.money import CURRENCIES
from fenqi.policy.beside_reading import MAX_SET_BYTES, BesideReading, is_age, is_policy_file
from fenqi.policy.compile import agreement_rules, compile_policy
from fenqi.policy.conditions import (
    All,
    Any,
    Condition,
    ConditionError,
    Not,
    facts_of,
    parse,
)
from fenqi.policy.example_reading import ExampleReading, Place
from fenqi.policy.facts import VOCABULARY, FactKind, FactSource, FactType, vocabulary_for
from fenqi.policy.pack_reading import RULE_OPTIONAL, RULE_REQUIRED, PackReading
from fenqi.policy.packs import put
from fenqi.policy.placement import default_group
from fenqi.policy.plan_reading import PlanReading
from fenqi.policy.reading import NO_TEXT, Fields, Problem
from fenqi.policy.reasons import CATALOGUE
from fenqi.policy.rollout import PREFIX
from fenqi.policy.sets import Sets
from fenqi.policy.snapshot import (
    FORMAT,
    LAYERS,
    Act,
    Agreement,
    Budget,
    Change,
    CompensationKind,
    CompensationTerms,
    Confidence,
    Family,
    Funder,
    FunderKind,
    Group,
    Layer,
    MaxAge,
    Notice,
    Pending,
    Placement,
    RepaymentImpact,
    Rule,
    Selector,
    ShopTerms,
    Snapshot,
    SnapshotError,
    selects,
)
from fenqi.policy.wording import banned_words
from fenqi.terms.disclosure import MAX_READING_SECONDS, READING_SECONDS, ShownCost
from fenqi.terms.plan import (
    LegalForm,
    Plan,
)
from fenqi.texts import Text

__all__ = ["LoadResult", "Problem", "files_in", "is_policy_file", "load_policy", "read_policy"]

MAX_FILE_BYTES: Final = 2_000_000
MAX_DEPTH: Final = 16
_UNKNOWN_MANDATORY: Final = ("law", "risk", "health")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_FUNDER_ID: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
_FACT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


_MADE: Final = (
    ("agreement.", "agreements"),
    ("budget.", "budgets"),
    ("table.", "tables"),
    (PREFIX, "the rollouts of plans"),
)
"""How the ids of rules begin that are made from something else, and what that is."""


class LoadResult(msgspec.Struct, frozen=True):
    """A snapshot with the members of its sets, or all the problems that keep it from being one.

    `rest`: where all problems are of single rules, the policy without those rules. For looking at, never for deciding.
    """

    snapshot: Snapshot | None
    problems: tuple[Problem, ...]
    sets: Sets = {}
    rest: Snapshot | None = None
    places: Mapping[str, Place] = {}
    """Where the tests stand in the files, by their keys (`fenqi.policy.example_reading.example_key`)."""


def load_policy(folder: Path | str) -> LoadResult:
    """Read every `*.yaml`, `*.yml`, `tables/*.csv` and `sets/*.txt` under a folder as one policy."""
    files, problems = files_in(folder)
    return LoadResult(None, problems) if problems else read_policy(files)


def files_in(folder: Path | str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """The names and contents of the policy files under a folder, and what keeps them from being read."""
    root = Path(folder)
    files: dict[str, str] = {}
    problems: list[Problem] = []
    # A link that leads nowhere is read too, and reported: rules that silently are not there would let through.
    paths = sorted(
        path
        for path in root.rglob("*")
        if is_policy_file(path.relative_to(root).as_posix()) and (path.is_file() or path.is_symlink())
    )
    for path in paths:
        name = path.relative_to(root).as_posix()
        most = MAX_SET_BYTES if name.lower().endswith(".txt") else MAX_FILE_BYTES
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
            if len(data) > most:
                problems.append(Problem(name, 1, 1, "", f"the file has more than {most} bytes"))
                continue
            files[name] = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            way_out = "save it as UTF-8"
            if name.lower().endswith(".csv"):
                way_out += "; a spreadsheet program calls that CSV UTF-8"
            problems.append(Problem(name, line, 1, "", "the file is not UTF-8", way_out))
        except OSError as error:
            problems.append(Problem(name, 1, 1, "", f"the file cannot be read: {error.strerror}"))
    if not paths:
        problems.append(Problem(str(folder), 1, 1, "", "there is no policy here: no *.yaml file"))
    return files, tuple(problems)


def read_policy(files: Mapping[str, str]) -> LoadResult:
    """Read a policy from its files' names and contents. No I/O: the same files are the same result."""
    reader = _PolicyReader()
    snapshot = reader.read(files)
    if reader.problems:
        ordered = sorted(reader.problems, key=lambda problem: (problem.file, problem.line, problem.column))
        sets = {} if snapshot is None else reader.members_of(snapshot)
        return LoadResult(None, tuple(dict.fromkeys(ordered)), sets, snapshot)
    return LoadResult(snapshot, (), reader.members_of(snapshot), places=reader.places)


_SECTIONS: Final = (
    "format",
    "shop",
    "facts",
    "funders",
    "families",
    "plans",
    "rules",
    "placements",
    "notices",
    "budgets",
    "waivers",
    "packs",
    "calendars",
    "tables",
    "sets",
    "tests",
)


class _PolicyReader(BesideReading, ExampleReading, PackReading, PlanReading):
    """What a policy's files are made of: the shop, its funders, families, plans, rules, places and notices."""

    def read(self, files: Mapping[str, str]) -> Snapshot | None:
        """The policy; without the rules that have a problem, where nothing else has one."""
        sections: dict[str, list[Node]] = {name: [] for name in _SECTIONS}
        shops: list[tuple[Node, Node]] = []
        written = [name for name in sorted(files) if name.lower().endswith((".yaml", ".yml"))]
        first_file = min(written, default=min(files, default=""))
        self.beside({name: files[name] for name in sorted(files) if name not in written})
        for name in written:
            root = self.compose(name, files[name])
            if root is None:
                continue
            fields = self.fields(root, "a policy file", (), _SECTIONS)
            if "shop" in fields and "format" not in fields:
                self.problem(root, "the file with the shop has no format", f"write format: {FORMAT}")
            if "format" in fields:
                self.one_of(fields["format"], (FORMAT,), "format")
            if "shop" in fields:
                shops.append((root, fields["shop"]))
            for section in _SECTIONS[2:]:
                if section in fields:
                    sections[section].extend(self.items(fields[section], section))
        if not shops:
            if not self.problems:
                self.problems.append(
                    Problem(first_file, 1, 1, "", "no file says which shop this is", "write shop:")
                )
            return None
        for _, extra in shops[1:]:
            self.problem(extra, "the shop is described twice", "keep one")
        shop = self.shop(shops[0][1])
        for section in (
            "funders",
            "families",
            "plans",
            "rules",
            "placements",
            "notices",
            "budgets",
            "tables",
            "sets",
            "calendars",
            "waivers",
        ):
            self.ids[section] = self.collect_ids(section, sections[section])
        for node in sections["packs"]:
            self.pack_use(node)
        own = [node for node in sections["facts"] if not is_age(node)]
        facts = tuple(self.fact(node) for node in own)
        names = [fact.name for fact in facts]
        for node, name in zip(own, names, strict=True):
            if name and names.count(name) > 1:
                self.problem(node, f"{name} stands twice in facts", "a fact is described once")
        # What the shop says of a fact goes before what a pack says of it.
        facts += tuple(fact for use in self.packs for fact in use.facts if fact.name not in names)
        # A funder's terms may be for some only: their conditions need the facts before the funders have names.
        unnamed = ((name, NO_TEXT) for name in sorted(self.ids["funders"]))
        self.vocabulary = vocabulary_for(unnamed, facts)
        for node in sections["facts"]:
            if is_age(node):
                self.age(node)
        for node in sections["sets"]:
            self.set_label(node)
        funders = tuple(self.funder(node) for node in sections["funders"])
        self.own_books = frozenset(funder.id for funder in funders if funder.own_book)
        self.funder_kinds = {funder.id: funder.kind for funder in funders}
        budgets = tuple(self.budget(node) for node in sections["budgets"])
        self.vocabulary = vocabulary_for(
            ((f.id, f.name) for f in funders), facts, ((b.id, b.name) for b in budgets)
        )
        families = tuple(self.family(node) for node in sections["families"])
        by_id = {family.id: family for family in families}
        calendars = tuple(self.calendar(node) for node in sections["calendars"])
        plans = tuple(self.plan(node, by_id) for node in sections["plans"])
        notices = tuple(self.notice(node) for node in sections["notices"])
        rules: list[Rule] = []
        sound: list[Rule] = []
        of_rules = 0
        for node in sections["rules"]:
            found = len(self.problems)
            rules.append(self.rule(node))
            of_rules += len(self.problems) - found
            if len(self.problems) == found:
                sound.append(rules[-1])
        for node, plan in zip(sections["plans"], plans, strict=True):
            found = len(self.problems)
            opening = self.opening(node, plan)
            of_rules += len(self.problems) - found
            sound += opening
        waivers: list[Rule] = []
        for node in sections["waivers"]:
            found = len(self.problems)
            waivers.append(self.waiver(node))
            of_rules += len(self.problems) - found
        self.check_leases(plans, sections["plans"], funders, waivers, sections["waivers"])
        pack_rules = tuple(rule for use in self.packs for rule in self.pack_rules(use))
        of_packs = [node for use in self.packs for node in use.rule_nodes]
        told = {notice.id: notice for notice in notices}
        self.check_notices(
            (*rules, *waivers, *pack_rules), [*sections["rules"], *sections["waivers"], *of_packs], told
        )
        for node in sections["tables"]:
            made = self.table(node, plans)
            self.check_notices(made[:1], [node][: len(made)], told)
            sound += made
        for name, (file, _) in self.tables.items():
            if name not in self.ids["tables"]:
                way_out = (
                    self.meant(name, self.ids["tables"]) or f"describe it under tables:, with id: {name}"
                )
                self.problems.append(Problem(file, 1, 1, "", f"no table is called {name}", way_out))
        placements = tuple(self.placement(node, plans) for node in sections["placements"])
        examples = tuple(self.policy_example(node) for node in sections["tests"])
        if len(self.problems) > of_rules:
            return None
        snapshot = Snapshot(
            shop=shop,
            funders=funders,
            families=families,
            plans=plans,
            rules=(*sound, *pack_rules),
            packs=tuple(use.taken for use in self.packs),
            placements=placements,
            notices=notices,
            facts=facts,
            budgets=budgets,
            sets=self.sets_asked((*sound, *waivers), funders),
            waivers=tuple(waivers),
            calendars=self.used(calendars, plans),
            examples=tuple(example for example in examples if example is not None),
            rollouts=tuple(self.rollouts[salt] for salt in sorted(self.rollouts)),
            max_ages=tuple(MaxAge(name, self.max_ages[name]) for name in sorted(self.max_ages)),
        )
        self.check_versions_notices(snapshot, sections["funders"])
        if len(self.problems) > of_rules:
            return None
        try:
            compile_policy(snapshot, self.members_of(snapshot))
        except SnapshotError as error:
            self.problems.append(Problem(first_file, 1, 1, error.problem.value, error.problem.sentence))
            return None
        return snapshot

    def selector(self, node: Node, what: str) -> Selector:
        if isinstance(node, ScalarNode):
            if node.value != "all":
                self.problem(
                    node,
                    f"{what} is {node.value}: not all, nor keys such as plan or funder",
                    f"write {{plan: {node.value}}}" if node.value in self.ids["plans"] else "",
                )
            return Selector(all=True)
        plural = {"funder": "funders", "family": "families", "plan": "plans"}
        fields = self.fields(
            node,
            what,
            (),
            (
                "plan",
                "plans",
                "family",
                "families",
                "funder",
                "funders",
                "funder_kinds",
                "legal_form",
                "legal_forms",
                "within",
            ),
        )
        named: dict[str, tuple[str, ...]] = {}
        for one, many in plural.items():
            found: tuple[str, ...] = ()
            if one in fields:
                found = (self.reference(fields[one], many, f"{what}.{one}"),)
            if many in fields:
                found += self.references(fields[many], many, f"{what}.{many}")
            named[many] = found
        forms: list[LegalForm] = []
        nodes = [fields["legal_form"]] if "legal_form" in fields else []
        if "legal_forms" in fields:
            nodes.extend(self.items(fields["legal_forms"], f"{what}.legal_forms"))
        for item in nodes:
            forms.append(self.literal(item, LegalForm, f"{what}.legal_form"))
        if "funder_kinds" in fields:
            kinds = {
                self.literal(item, FunderKind, f"{what}.funder_kinds")
                for item in self.items(fields["funder_kinds"], f"{what}.funder_kinds")
            }
            of_kind = tuple(name for name, kind in self.funder_kinds.items() if kind in kinds)
            named["funders"] = tuple(dict.fromkeys((*named["funders"], *of_kind)))
        if isinstance(node, MappingNode) and not fields.keys() - {"within"}:
            self.problem(node, f"{what} names nothing", "write all, or a plan, family, funder or legal_form")
        return Selector(
            within=self.selector(fields["within"], f"{what}.within") if "within" in fields else None,
            funders=named["funders"],
            families=named["families"],
            plans=named["plans"],
            legal_forms=tuple(forms),
        )

    def condition(self, node: Node, what: str, depth: int = 0) -> Condition:
        nothing = All(())
        if depth > MAX_DEPTH:
            self.problem(node, f"{what} is nested more than {MAX_DEPTH} deep")
            return nothing
        if isinstance(node, ScalarNode):
            try:
                clause = parse(put(str(node.value), self.parameters), self.dialect)
                if clause.fact == "customer.consents" and isinstance(clause.value, frozenset):
                    for name in sorted(clause.value - self.ids["funders"]):
                        self.problem(
                            node, f"{clause.fact}: {name} is no funder", self.meant(name, self.ids["funders"])
                        )
                return clause
            except ConditionError as error:
                self.problem(
                    node,
                    *self.about_facts(str(node.value), error),
                    offset=error.offset,
                    length=error.length,
                )
            except CalendarError as error:
                self.problem(node, error.problem.sentence)
            return nothing
        if isinstance(node, SequenceNode):
            parts = self.parts(node, what, depth)
            return parts[0] if len(parts) == 1 else All(parts)
        fields = self.fields(node, what, (), ("all", "any", "not"))
        if len(fields) != 1:
            if isinstance(node, MappingNode) and len(node.value) != 1:
                self.problem(node, f"{what} needs exactly one of all, any, not")
            return nothing
        ((joint, inner),) = fields.items()
        if joint == "not":
            return Not(self.condition(inner, f"{what}.not", depth + 1))
        if not isinstance(inner, SequenceNode):
            self.problem(inner, f"{what}.{joint} is not a list", "begin each clause with a dash")
            return nothing
        parts = self.parts(inner, f"{what}.{joint}", depth)
        return Any(parts) if joint == "any" else All(parts)

    def about_facts(self, text: str, error: ConditionError) -> tuple[str, str]:
        """What is wrong with a clause, and the way out. Who names a rule, a table or a set meant something else than a fact."""
        word = text[error.offset : error.offset + error.length]
        for section, what in (("rules", "rule"), ("tables", "table"), ("sets", "set"), ("plans", "plan")):
            if word in self.ids.get(section, ()) or (what == "set" and word in self.sets):
                if error.message != f"{word} is not a fact":
                    continue
                return (
                    f"{word} is a {what}: a condition asks about facts, never about rules, tables or itself",
                    f"write a fact and in set {word}" if what == "set" else "write out what that asks",
                )
        return error.message, error.suggestion

    def parts(self, node: Node, what: str, depth: int) -> tuple[Condition, ...]:
        if not node.value:
            self.problem(node, f"{what} is an empty list", "write a clause, or leave the key out")
        return tuple(self.condition(item, what, depth + 1) for item in node.value)

    # --- entries -------------------------------------------------------------------------------------------

    def collect_ids(self, section: str, nodes: list[Node]) -> set[str]:
        ids: set[str] = set()
        for node in nodes:
            if not isinstance(node, MappingNode):
                continue
            for key, value in node.value:
                if not (isinstance(key, ScalarNode) and key.value == "id" and isinstance(value, ScalarNode)):
                    continue
                if value.value in ids:
                    self.problem(value, f"{value.value} stands twice in {section}", "ids occur once")
                pattern = _FUNDER_ID if section in ("funders", "budgets", "tables", "sets") else _ID
                if not pattern.fullmatch(str(value.value)):
                    self.problem(
                        value,
                        f"{value.value} is not an id",
                        "ids are small letters, digits, _ (and . or - except in funders)",
                    )
                for made, source in _MADE:
                    if section == "rules" and str(value.value).startswith(made):
                        self.problem(
                            value, f"{value.value}: ids in {made} are made from {source}", "rename it"
                        )
                ids.add(str(value.value))
        return ids

    def shop(self, node: Node) -> ShopTerms:
        fields = self.fields(
            node, "shop", ("id", "name", "time_zone", "currency"), ("reading_seconds", "shown_cost")
        )
        if "time_zone" in fields:
            zone = self.scalar(fields["time_zone"], "time_zone")
            try:
                zone_of(zone)
                self.zone = zone
            except CalendarError:
                self.problem(
                    fields["time_zone"], f"time_zone is {zone}: not an IANA time zone", "write Asia/Shanghai"
                )
        if "currency" in fields:
            self.currency = self.one_of(fields["currency"], CURRENCIES, "currency")
        return ShopTerms(
            self.optional(fields, "id", self.scalar, ""),
            self.optional(fields, "name", self.text, NO_TEXT),
            self.zone,
            self.currency,
            self.optional(fields, "reading_seconds", self.reading_seconds, READING_SECONDS),
            self.literal(fields["shown_cost"], ShownCost, "shown_cost")
            if "shown_cost" in fields
            else "simple",
        )

    def reading_seconds(self, node: Node, what: str) -> int:
        seconds = self.integer(node, what)
        if not 0 <= seconds <= MAX_READING_SECONDS:
            self.problem(node, f"{what} is {seconds}: not from 0 to {MAX_READING_SECONDS}")
        return seconds

    def fact(self, node: Node) -> FactType:
        fields = self.fields(
            node,
            "a fact",
            ("name", "type", "source", "label"),
            ("values", "value_labels", "changeable", "personal", "max_age"),
        )
        name = self.optional(fields, "name", self.scalar, "")
        kind: FactKind = self.literal(fields["type"], FactKind, "type") if "type" in fields else "int"
        built_in = VOCABULARY.get(name)
        if name and not _FACT_NAME.fullmatch(name):
            self.problem(fields["name"], f"{name} is not a fact's name", "write it like merchant.kind")
        elif name.startswith(("offer.", "clock.", "funder.", "budget.", PREFIX)):
            self.problem(
                fields["name"], f"{name}: facts of offer, clock, funder, budget and rollout are Fenqi's own"
            )
        elif built_in is not None and built_in.type != kind:
            self.problem(fields["name"], f"{name} is {built_in.type} already", f"write type: {built_in.type}")
        labels: dict[str, Text] = {}
        values: tuple[str, ...] = ()
        if "values" in fields:
            values = tuple(self.scalar(item, "values") for item in self.items(fields["values"], "values"))
        if "value_labels" in fields:
            written = self.fields(fields["value_labels"], "value_labels", (), values)
            labels = {value: self.text(label, f"the label of {value}") for value, label in written.items()}
        if kind == "enum" and not values and "type" in fields:
            self.problem(node, f"{name} is an enum without values", "write values: [a, b]")
        if "max_age" in fields and name:
            self.max_ages[name] = self.duration(fields["max_age"], "max_age")
        return FactType(
            name=name,
            type=kind,
            source=self.literal(fields["source"], FactSource, "source") if "source" in fields else "cart",
            label=self.optional(fields, "label", self.text, NO_TEXT),
            values=values,
            value_labels=labels,
            changeable=self.optional(
                fields, "changeable", self.boolean, built_in.changeable if built_in else False
            ),
            personal=self.optional(
                fields, "personal", self.boolean, built_in.personal if built_in else False
            ),
        )

    def funder(self, node: Node) -> Funder:
        fields = self.fields(
            node, "a funder", ("id", "name", "kind"), ("decides", "own_book", "agreement", "agreements")
        )
        versions: tuple[Agreement, ...] = ()
        if "agreements" in fields:
            if "agreement" in fields:
                self.problem(
                    fields["agreements"], "a funder has one agreement, or a list of agreements", "keep one"
                )
            items = self.items(fields["agreements"], "agreements")
            versions = tuple(self.agreement(item) for item in items)
            self.check_versions(items, versions)
        return Funder(
            id=self.optional(fields, "id", self.scalar, ""),
            name=self.optional(fields, "name", self.text, NO_TEXT),
            kind=self.literal(fields["kind"], FunderKind, "kind") if "kind" in fields else "shop",
            decides=self.one_of(fields["decides"], ("here", "on_its_page"), "decides")
            if "decides" in fields
            else "here",
            own_book=self.optional(fields, "own_book", self.boolean, False),
            agreement=self.agreement(fields["agreement"]) if "agreement" in fields else None,
            agreements=versions,
        )

    def check_versions(self, nodes: list[Node], versions: tuple[Agreement, ...]) -> None:
        names = [version.version for version in versions]
        for number, (node, version) in enumerate(zip(nodes, versions, strict=True)):
            if version.version and not _ID.fullmatch(version.version):
                self.problem(
                    node, f"version is {version.version}: not an id", "small letters, digits, _ . and -"
                )
            if names.count(version.version) > 1:
                self.problem(
                    node, f"version {version.version} stands twice", "each version has a name of its own"
                )
            if number and version.valid_from is None:
                self.problem(node, f"version {version.version} has no from", "say when it takes over")
            before = versions[number - 1].valid_from if number else None
            if before is not None and version.valid_from is not None and version.valid_from < before:
                self.problem(
                    node, f"version {version.version} begins before the one above it", "sort by from"
                )

    def budget(self, node: Node) -> Budget:
        fields = self.fields(
            node, "a budget", ("id", "name", "total", "applies"), ("share", "from", "to", "renews", "notice")
        )
        before = len(self.problems)
        budget = Budget(
            id=self.optional(fields, "id", self.scalar, ""),
            name=self.optional(fields, "name", self.text, NO_TEXT),
            total_minor=self.optional(fields, "total", self.money, 0),
            applies=self.optional(fields, "applies", self.selector, Selector()),
            share=self.ratio(fields["share"], "share") if "share" in fields else None,
            start=self.instant(fields["from"], "from") if "from" in fields else None,
            end=self.end_instant(fields["to"], "to") if "to" in fields else None,
            renews=self.instant(fields["renews"], "renews") if "renews" in fields else None,
            notice=self.reference(fields["notice"], "notices", "notice") if "notice" in fields else None,
        )
        if before == len(self.problems):
            if budget.start is not None and budget.end is not None and budget.end <= budget.start:
                self.problem(fields["to"], "the budget ends before it begins")
            if budget.share is not None and not 0 < budget.share <= 1:
                self.problem(
                    fields["share"], f"share is {fields['share'].value}: more than 0% and at most 100%"
                )
        return budget

    def agreement(self, node: Node) -> Agreement:
        before = len(self.problems)
        fields = self.fields(
            node,
            "an agreement",
            ("version",),
            (
                "from",
                "to",
                "min",
                "max",
                "terms",
                "cost_ceiling",
                "for",
                "paused",
                "daily_quota",
                "partner_listed",
                "renewal_warning_days",
                "note",
                "notice",
            ),
        )
        agreement = Agreement(
            version=self.optional(fields, "version", self.scalar, ""),
            valid_from=self.instant(fields["from"], "from") if "from" in fields else None,
            valid_to=self.end_instant(fields["to"], "to") if "to" in fields else None,
            min_amount_minor=self.money(fields["min"], "min") if "min" in fields else None,
            max_amount_minor=self.money(fields["max"], "max") if "max" in fields else None,
            terms=tuple(self.integer(item, "terms") for item in self.items(fields["terms"], "terms"))
            if "terms" in fields
            else (),
            cost_ceiling=self.ratio(fields["cost_ceiling"], "cost_ceiling")
            if "cost_ceiling" in fields
            else None,
            audience=self.audience(fields["for"]) if "for" in fields else None,
            paused=self.optional(fields, "paused", self.boolean, False),
            daily_quota_minor=self.money(fields["daily_quota"], "daily_quota")
            if "daily_quota" in fields
            else None,
            partner_listed=self.boolean(fields["partner_listed"], "partner_listed")
            if "partner_listed" in fields
            else None,
            renewal_warning_days=self.optional(fields, "renewal_warning_days", self.integer, 30),
            note=self.text(fields["note"], "note") if "note" in fields else None,
            notice=self.reference(fields["notice"], "notices", "notice") if "notice" in fields else None,
        )
        least, most = agreement.min_amount_minor, agreement.max_amount_minor
        if least is not None and most is not None and most < least and before == len(self.problems):
            self.problem(fields["max"], "max is less than min")
        start, end = agreement.valid_from, agreement.valid_to
        if start is not None and end is not None and end <= start and before == len(self.problems):
            self.problem(fields["to"], "the agreement ends before it begins")
        return agreement

    def audience(self, node: Node) -> Condition:
        """For whom something is, by what may be said in public."""
        condition = self.condition(node, "for")
        for name in sorted(facts_of(condition)):
            fact = self.vocabulary.get(name)
            if fact is not None and (fact.personal or name.startswith(("offer.", "clock."))):
                self.problem(
                    node,
                    f"for: {name} is not a fact that says in public for whom an agreement is",
                    "use a fact that is not personal, such as customer.has_running_contract or channel.kind",
                )
        return condition

    def family(self, node: Node) -> Family:
        fields = self.fields(node, "a family", ("id", "funder", "name", "legal_form"))
        form: LegalForm = (
            self.literal(fields["legal_form"], LegalForm, "legal_form") if "legal_form" in fields else "loan"
        )
        return Family(
            id=self.optional(fields, "id", self.scalar, ""),
            funder=self.reference(fields["funder"], "funders", "funder") if "funder" in fields else "",
            name=self.optional(fields, "name", self.text, NO_TEXT),
            legal_form=form,
        )

    def rule(self, node: Node, more: tuple[str, ...] = ()) -> Rule:
        fields = self.fields(node, "a rule", RULE_REQUIRED, (*RULE_OPTIONAL, *more))
        if isinstance(node, MappingNode) and not fields.keys() & {"when", "require", "blocked", "daily"}:
            self.problem(node, "the rule says nothing", "write require, when, blocked or daily")
        rule = self.rule_of(node, fields, "a rule")
        if "tests" in fields:
            rule = msgspec.structs.replace(rule, examples=self.rule_examples(fields["tests"], rule))
        return rule

    def waiver(self, node: Node) -> Rule:
        """A rule that, where it is in the way, has a deposit asked for; it asks what is known before anything is priced."""
        rule = self.rule(node)
        if rule.id in self.ids["rules"]:
            self.problem(node, f"{rule.id} is a rule too", "give one of them another id")
        for tree in (rule.when, rule.require):
            for name in sorted(facts_of(tree)) if tree is not None else ():
                if name.startswith("offer."):
                    self.problem(
                        node,
                        f"{rule.id} asks {name}, which follows from the deposit that it decides about",
                        "ask what is known of the cart and the customer",
                    )
        return rule

    def rule_of(self, node: Node, fields: Fields, what: str) -> Rule:
        """A rule of whatever of its keys were written."""
        layer = self.literal(fields["layer"], Layer, "layer") if "layer" in fields else LAYERS[0]
        reason = self.scalar(fields["reason"], "reason") if "reason" in fields else ""
        entry = CATALOGUE.get(reason)
        if reason and entry is None:
            self.problem(
                fields["reason"], f"reason is {reason}: there is no such code", self.meant(reason, CATALOGUE)
            )
        written = fields["layer"].value if "layer" in fields else ""
        if written in _UNKNOWN_MANDATORY and "unknown" not in fields:
            self.problem(
                node,
                f"{what} of the layer {layer} has no unknown",
                "write unknown: block, ask or allow, for when a fact is missing",
            )
        change = self.literal(fields["change"], Change, "change") if "change" in fields else None
        return Rule(
            id=self.optional(fields, "id", self.scalar, ""),
            layer=layer,
            owner=self.optional(fields, "owner", self.scalar, ""),
            reason=reason,
            applies=self.optional(fields, "applies", self.selector, Selector(all=True)),
            when=self.case_of(fields),
            require=self.condition(fields["require"], "require") if "require" in fields else None,
            blocked=self.window(fields["blocked"], "blocked") if "blocked" in fields else None,
            daily=self.daily(fields["daily"], "daily") if "daily" in fields else None,
            valid=self.window(fields["valid"], "valid") if "valid" in fields else None,
            unknown=self.one_of(fields["unknown"], ("block", "allow", "ask"), "unknown")
            if "unknown" in fields
            else "block",
            pending=self.pending(fields["pending"]) if "pending" in fields else None,
            instead=self.references(fields["instead"], "plans", "instead") if "instead" in fields else (),
            notice=self.reference(fields["notice"], "notices", "notice") if "notice" in fields else None,
            public=self.one_of(fields["public"], ("full", "generic"), "public")
            if "public" in fields
            else "full",
            change=change or (entry.change if entry else "nobody"),
            source=self.scalar(fields["source"], "source") if "source" in fields else None,
            unconfirmed=not self.optional(fields, "confirmed", self.boolean, True),
            title=self.audience_text(fields["title"], "title") if "title" in fields else None,
            detail=self.audience_text(fields["detail"], "detail") if "detail" in fields else None,
            fix=self.audience_text(fields["fix"], "fix") if "fix" in fields else None,
            since_fact=self.instant_fact(fields["since"], "since") if "since" in fields else None,
            until_fact=self.instant_fact(fields["until"], "until") if "until" in fields else None,
        )

    def case_of(self, fields: Fields) -> Condition | None:
        """What a rule is about: its `when`, for those whom its rollout has reached."""
        when = self.condition(fields["when"], "when") if "when" in fields else None
        if "rollout" not in fields:
            return when
        name = fields["id"].value if isinstance(fields.get("id"), ScalarNode) else ""
        reached = self.rollout(fields["rollout"], str(name))
        # Last, so that what a reason tells first is what the rule is about.
        return reached if when is None else All((when, reached))

    def opening(self, node: Node, plan: Plan) -> tuple[Rule, ...]:
        """The rule that a plan's rollout amounts to: whom it has not reached yet does not get the plan."""
        written = node.value if isinstance(node, MappingNode) else []
        fields = {str(key.value): value for key, value in written}
        if "rollout" not in fields:
            return ()
        return (
            Rule(
                id=PREFIX + plan.id,
                layer="strategy",
                owner="rollout",
                reason="CANARY_OFF",
                applies=Selector(plans=(plan.id,)),
                require=self.rollout(fields["rollout"], plan.id),
                change="shop",
            ),
        )

    def instant_fact(self, node: Node, what: str) -> str:
        """The name of a fact that is an instant."""
        name = self.scalar(node, what)
        fact = self.vocabulary.get(name)
        if name and fact is None:
            self.problem(node, f"{what} is {name}: there is no such fact", self.meant(name, self.vocabulary))
        elif fact is not None and fact.type != "instant":
            self.problem(node, f"{what} is {name}, which is {fact.type}, not an instant")
        return name

    def check_versions_notices(self, snapshot: Snapshot, nodes: list[Node]) -> None:
        """What a version of an agreement keeps out ends when its notice says, by itself or as a later version takes over."""
        notices = {notice.id: notice for notice in snapshot.notices}
        for rule in agreement_rules(snapshot):
            notice = notices.get(rule.notice or "")
            if notice is None or rule.blocked is None:
                continue
            end = rule.valid.end if rule.valid is not None else None
            if end == notice.until:
                continue
            node = next(
                node
                for node, funder in zip(nodes, snapshot.funders, strict=True)
                if rule.id.startswith(f"agreement.{funder.id}.")
            )
            said, meant = (
                "no end" if one is None else format_instant(one, self.zone, "en")
                for one in (notice.until, end)
            )
            self.problem(
                node,
                f"{rule.id} has {meant} and its notice {notice.id} {said}",
                "both say the same end: the public is told what the checkout does",
            )

    def check_notices(
        self, rules: tuple[Rule, ...], nodes: list[Node], notices: Mapping[str, Notice]
    ) -> None:
        """A notice is public, and says the same end as the rule. What is one customer's own never links one."""
        for rule, node in zip(rules, nodes, strict=True):
            if rule.notice is None:
                continue
            notice = notices.get(rule.notice)
            ends = [w.end for w in (rule.blocked, rule.valid) if w is not None and w.end is not None]
            if notice is not None and rule.blocked is not None and min(ends, default=None) != notice.until:
                said, meant = (
                    "no end" if end is None else format_instant(end, self.zone, "en")
                    for end in (notice.until, min(ends, default=None))
                )
                self.problem(
                    node,
                    f"{rule.id} has {meant} and its notice {notice.id} {said}",
                    "both say the same end: the public is told what the checkout does",
                )
            trees = (rule.when, rule.require, rule.pending.when if rule.pending else None)
            names = {name for tree in trees if tree is not None for name in facts_of(tree)}
            personal = sorted(
                name for name in names if name in self.vocabulary and self.vocabulary[name].personal
            )
            why = (
                f"of the layer {rule.layer}"
                if rule.layer in ("risk", "customer")
                else "generic to customers"
                if rule.public == "generic"
                else f"about {personal[0]}, which is personal"
                if personal
                else ""
            )
            if why:
                self.problem(
                    node,
                    f"{rule.id} is {why}, and has the notice {rule.notice}",
                    "a notice is public: leave it out",
                )

    def pending(self, node: Node) -> Pending:
        fields = self.fields(node, "pending", ("when", "deadline"))
        when: Condition = self.condition(fields["when"], "pending.when") if "when" in fields else All(())
        deadline = self.scalar(fields["deadline"], "deadline") if "deadline" in fields else ""
        fact = self.vocabulary.get(deadline)
        if deadline and fact is None:
            self.problem(
                fields["deadline"], f"{deadline} is not a fact", self.meant(deadline, self.vocabulary)
            )
        elif fact is not None and fact.type != "instant":
            self.problem(fields["deadline"], f"{deadline} is {fact.type}, not an instant")
        if any(name.startswith("offer.") for name in facts_of(when)):
            self.problem(fields["when"], "an answer on its way cannot depend on an offer's figures")
        return Pending(when, deadline)

    def placement(self, node: Node, plans: tuple[Plan, ...]) -> Placement:
        fields = self.fields(
            node,
            "a placement",
            ("id", "applies"),
            ("group", "rank", "collapsed", "reason", "since", "notice"),
        )
        placement = Placement(
            id=self.optional(fields, "id", self.scalar, ""),
            applies=self.optional(fields, "applies", self.selector, Selector()),
            group=self.literal(fields["group"], Group, "group") if "group" in fields else None,
            rank=self.integer(fields["rank"], "rank") if "rank" in fields else None,
            collapsed=self.boolean(fields["collapsed"], "collapsed") if "collapsed" in fields else None,
            reason=self.text(fields["reason"], "reason") if "reason" in fields else None,
            since=self.instant(fields["since"], "since") if "since" in fields else None,
            notice=self.reference(fields["notice"], "notices", "notice") if "notice" in fields else None,
        )
        if placement.since is not None and placement.reason is None:
            self.problem(node, "a placement with a since has no reason", "say why the option moved")
        if placement.group is not None:
            for plan in plans:
                if selects(placement.applies, plan) and placement.group != default_group(plan):
                    self.problem(
                        fields["group"],
                        f"{plan.id} is a {plan.legal_form} and stands in the group {placement.group}: credit and "
                        "payment tools are two groups, never one list (rule of 2026-09-30)",
                        f"write group: {default_group(plan)}",
                    )
        return placement

    def notice(self, node: Node) -> Notice:
        fields = self.fields(
            node,
            "a notice",
            ("id", "title", "reason", "affected", "unaffected", "since"),
            (
                "until",
                "next_update",
                "rules",
                "plans",
                "confidence",
                "purpose",
                "restored",
                "instead",
                "repayment",
                "compensation",
            ),
        )
        notice = Notice(
            id=self.optional(fields, "id", self.scalar, ""),
            title=self.optional(fields, "title", self.text, NO_TEXT),
            reason=self.optional(fields, "reason", self.text, NO_TEXT),
            affected=self.optional(fields, "affected", self.text, NO_TEXT),
            unaffected=self.optional(fields, "unaffected", self.text, NO_TEXT),
            since=self.optional(fields, "since", self.instant, 0),
            until=self.end_instant(fields["until"], "until") if "until" in fields else None,
            next_update=self.instant(fields["next_update"], "next_update")
            if "next_update" in fields
            else None,
            rules=self.references(fields["rules"], "rules", "rules") if "rules" in fields else (),
            plans=self.references(fields["plans"], "plans", "plans") if "plans" in fields else (),
            confidence=self.literal(fields["confidence"], Confidence, "confidence")
            if "confidence" in fields
            else "",
            purpose=self.text(fields["purpose"], "purpose") if "purpose" in fields else None,
            restored=self.text(fields["restored"], "restored") if "restored" in fields else None,
            instead=self.references(fields["instead"], "plans", "instead") if "instead" in fields else (),
            repayment=self.repayment(fields["repayment"]) if "repayment" in fields else None,
            compensation=tuple(
                self.compensation(item) for item in self.items(fields["compensation"], "compensation")
            )
            if "compensation" in fields
            else (),
        )
        for key in ("title", "reason", "affected", "unaffected", "purpose", "restored"):
            text = getattr(notice, key)
            for word in banned_words(text) if text is not None else ():
                self.problem(
                    fields[key],
                    f"{key} says {word}: words that promise or lure are banned in what the public is told",
                    "say what is the case",
                )
        if notice.until is not None and notice.until <= notice.since and "until" in fields:
            self.problem(fields["until"], "the notice ends before it begins")
        if notice.confidence == "unknown" and notice.until is not None:
            self.problem(
                fields["confidence"], "confidence is unknown, and there is an until", "leave one of them out"
            )
        if notice.confidence in ("fixed", "estimate") and notice.until is None:
            self.problem(
                fields["confidence"], f"confidence is {notice.confidence} of no until", "write until:"
            )
        return notice

    def repayment(self, node: Node) -> RepaymentImpact:
        before = len(self.problems)
        fields = self.fields(node, "repayment", ("from", "to", "due_moves_to"), ("acts",))
        start = self.optional(fields, "from", self.instant, 0)
        end = self.optional(fields, "to", self.end_instant, 0)
        moves_to = self.optional(fields, "due_moves_to", self.day, date.min)
        if before == len(self.problems):
            if end <= start:
                self.problem(fields["to"], "the outage ends before it begins")
            elif moves_to <= local_date(end - 1, self.zone):
                self.problem(
                    fields["due_moves_to"],
                    f"due_moves_to is {moves_to}: not after the outage",
                    "name the first day on which paying works again",
                )
        acts: tuple[Act, ...] = ("repay", "pay_off", "autopay")
        if "acts" in fields:
            acts = tuple(self.literal(item, Act, "acts") for item in self.items(fields["acts"], "acts"))
        return RepaymentImpact(start=start, end=end, due_moves_to=moves_to, acts=acts)

    def compensation(self, node: Node) -> CompensationTerms:
        fields = self.fields(node, "a compensation", ("id", "kind", "name"), ("hours", "amount"))
        kinds: tuple[CompensationKind, ...] = get_args(CompensationKind)
        kind: CompensationKind = self.one_of(fields["kind"], kinds, "kind") if "kind" in fields else kinds[0]
        needed = "hours" if kind == "price_protection" else "amount"
        if "kind" in fields and needed not in fields:
            self.problem(node, f"a {kind} has no {needed}", f"write {needed}:")
        return CompensationTerms(
            id=self.optional(fields, "id", self.scalar, ""),
            kind=kind,
            name=self.optional(fields, "name", self.text, NO_TEXT),
            hours=self.optional(fields, "hours", self.integer, 0),
            amount_minor=self.optional(fields, "amount", self.money, 0),
        )
