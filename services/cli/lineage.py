"""`serinus lineage`: what a version was made of, who let it in, on what evidence, and when it served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from serinus import wire
from serinus.decide import audit
from serinus.decide.lineage import lineage
from serinus.errors import Fatal, SerinusError
from serinus.facts import Code, Deed, Evaluation, Lineage, Origin, RolloutRecord, Served
from serinus.render.model_card import approval
from services.cli import context
from services.cli.context import Output
from services.cli.place import Place, find
from services.cli.records import Where
from services.cli.trails import Checked, pages, trail

if TYPE_CHECKING:
    from serinus.adapters.mlflow import MlflowRegistry

_EVENTS = 10_000  # of the loop's history, where there is no trail
Line = tuple[str, str]


def show(where: Where, version: int, output: Output) -> None:
    """Print the lineage as a tree, or as JSON."""
    found = of(where, version)
    if output == Output.json:
        context.answer(wire.dump(found))
    else:
        context.show(tree(found))


def of(where: Where, version: int) -> Lineage:
    """The lineage of a version. Raises Fatal when there is no such version, Unavailable when nobody can say."""
    place = find(where.state, where.loop, where.namespace, where.context)
    papers = archive(where).papers(place.name, version)
    deeds, source = _deeds(where, place)
    return lineage(papers, deeds, source)


def archive(where: Where) -> MlflowRegistry:
    """Where versions' papers are. Raises Fatal when nobody says where."""
    from serinus.adapters.mlflow import MlflowRegistry

    url = where.mlflow
    if not url and where.loop is not None:
        raise Fatal(
            "expected --mlflow URL beside --loop: where MLflow answers, such as http://localhost:5000 of"
            " `kubectl port-forward service/serinus-mlflow 5000`"
        )
    return MlflowRegistry(url or context.card(where.state).addresses.url("mlflow"))


def _deeds(where: Where, place: Place) -> tuple[Sequence[Deed], str]:
    """What was done to the loop, and where that is from: the audit trail, or else the loop's own history."""
    namespace = str(place.more().get("namespace", ""))
    try:
        with trail(where) as (kept, name):
            checked = Checked(pages(kept))
            deeds = [e.deed for e in checked if (e.deed.loop, e.deed.namespace) == (place.name, namespace)]
    except SerinusError as error:
        deeds = [audit.deed(place.name, event, namespace) for event in place.events(_EVENTS)]
        return deeds, f"the loop's history, {len(deeds)} latest events; not the audit trail: {error}"
    if checked.problem:
        return deeds, f"the audit trail {name}, WHICH SOMEBODY REWROTE: {checked.problem}"
    count = checked.last.number if checked.last is not None else 0
    return deeds, f"the audit trail {name}, {count} entries, of which none was changed or removed"


def tree(found: Lineage) -> Tree:
    """The lineage as a person reads it."""
    papers = found.papers
    version, origin = papers.version, papers.origin
    aliases = f"  {', '.join(sorted(version.aliases))}" if version.aliases else ""
    top = Tree(Text.assemble((f"{version.loop} version {version.number}", "bold"), (aliases, "green")))
    _branch(top, "made by", _run(found))
    _branch(top, "learned from", _data(found))
    _branch(top, "code", list(_code(origin.code)) if origin is not None else [("", "not kept")])
    _branch(top, "model", _model(found))
    _branch(top, "judged", _judged(papers.evaluation))
    _branch(top, "let in", [("", _let_in(found))])
    rollouts = _branch(top, "rollouts", [] if papers.rollouts else [("", "none has ended")])
    for record in papers.rollouts:
        _branch(rollouts, f"{record.outcome} {_at(record.ended)}", list(_rollout(record)))
    _branch(top, "served", [("", _served(each)) for each in found.served] or [("", "nobody, as far as is known")])
    _branch(top, "known from", [("", found.source)])
    return top


def _branch(parent: Tree, title: str, lines: Sequence[Line]) -> Tree:
    branch = parent.add(Text(title, "bold"))
    for name, value in lines:
        branch.add(Text.assemble((f"{name}  " if name else "", "dim"), value))
    return branch


def _run(found: Lineage) -> list[Line]:
    version, origin = found.papers.version, found.papers.origin
    by = found.asked_by or "the loop itself, or nobody knows any more"
    cause = [("cause", origin.cause)] if origin is not None else []
    return [("run", version.trigger), *cause, ("asked by", by), ("registered", _at(version.created))]


def _data(found: Lineage) -> list[Line]:
    rows, origin = found.papers.contract.dataset, found.papers.origin
    kept = "not known" if origin is None else "kept" if origin.kept else "not kept, they are too many"
    return [
        ("dataset", rows.version),
        ("source", rows.source),
        ("window", f"{_at(rows.window.start)} to {_at(rows.window.end)}"),
        ("rows", f"{rows.rows:,}"),
        ("the rows themselves", kept),
    ]


def _code(code: Code) -> Iterator[Line]:
    said = {
        "release": code.release,
        "revision": code.revision or "not known",
        "digest": code.source,
        "the loop's own": code.own,
        "lock": code.lock or "not known",
        "image": code.image or "none, or not known",
        "python": code.python,
        "packages": ", ".join(f"{name} {version}" for name, version in code.packages.items()),
        "linear algebra": ", ".join(f"{library} {kernel}" for library, kernel in code.kernels.items()),
        "forced by": ", ".join(f"{name}={value}" for name, value in code.forced.items()),
    }
    yield from ((name, value) for name, value in said.items() if value)


def _model(found: Lineage) -> list[Line]:
    contract, origin = found.papers.contract, found.papers.origin
    params = ", ".join(f"{name} {value}" for name, value in contract.params.items())
    files: list[Line] = list(origin.files.items()) if origin is not None else []
    return [
        ("estimator", contract.estimator),
        ("params", params or "the defaults"),
        ("seed", str(contract.seed)),
        ("digest", found.papers.version.digest),
        *files,
    ]


def _judged(judged: Evaluation | None) -> list[Line]:
    if judged is None:
        return [("", "not kept")]
    beside = f", champion {judged.champion:.4f}" if judged.champion is not None else ""
    figure = f"{judged.candidate:.4f} on {judged.rows:,} rows it did not learn from{beside}"
    return [(judged.metric, figure), *((f"{each.gate}: {each.outcome}", each.reason) for each in judged.verdicts)]


def _let_in(found: Lineage) -> str:
    return f"{found.approved_by} let it in." if found.approved_by else approval(found.papers)


def _rollout(record: RolloutRecord) -> Iterator[Line]:
    yield "began", _at(record.started)
    yield "beside", f"version {record.stable}" if record.stable is not None else "nobody: it was the first"
    yield "why", record.reason
    for name, seen in record.evidence.items():
        arms = f"stable {seen.stable_bad} of {seen.stable_trials}, canary {seen.canary_bad} of {seen.canary_trials}"
        yield name, f"{arms} were bad"
    for verdict in record.verdicts:
        yield f"{verdict.gate}: {verdict.outcome}", verdict.reason


def _served(each: Served) -> str:
    until = f"to {_at(each.end)}" if each.end is not None else "until now"
    return f"{each.share:g} %  {_at(each.start)} {until}"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def origin_of(where: Where, version: int) -> tuple[str, MlflowRegistry, Origin]:
    """The loop's name, the registry, and a version's origin. Raises Fatal when it was not kept."""
    place = find(where.state, where.loop, where.namespace, where.context)
    kept = archive(where)
    origin = kept.papers(place.name, version).origin
    if origin is None:
        raise Fatal(f"{place.name}: how version {version} was made was not kept: it is older than keeping that")
    return place.name, kept, origin
