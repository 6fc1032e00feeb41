"""`serinus erase`: what is kept of somebody's predictions, forgotten for good, and what is not reached by it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import typer

from serinus.errors import Fatal, SerinusError
from serinus.facts import Papers, Record
from services.cli import context
from services.cli.records import Kept, Where, kept


def erase(where: Where, ids: Sequence[str], keys: Sequence[str], by: str, reason: str, sure: bool) -> None:
    """Forget them, once the person said yes. Raises Fatal when nobody can be asked."""
    if not ids and not keys:
        raise typer.BadParameter("expected --id or --key of what is to be erased, got neither")
    with kept(where, by, reason) as records:
        found = records.client.find(records.loop, ids, keys)
        said = f"{len(found)} predictions of {records.loop} ({len(ids)} ids and {len(keys)} keys were named)"
        if not sure:
            if not sys.stdin.isatty():
                raise Fatal(f"nobody can be asked whether {said} are to be erased for good; --yes says so")
            typer.confirm(f"Erase {said}, with their labels? This cannot be undone", abort=True, err=True)
        erased = records.client.erase(records.loop, ids, keys)
        context.say(
            f"{erased} predictions of {records.loop} were erased; what comes of those named is refused from now on."
        )
        context.say("The audit trail says who did it and why, and names nobody.")
        context.say(f"Not reached: what models learned, and datasets kept with versions. {_learned(records, found)}")
    context.say("docs/governance.md says what else is not reached, and how to be rid of it.")


def _learned(records: Kept, found: Sequence[Record]) -> str:
    """Which versions' datasets may hold what these records held."""
    if not found:
        return "Nothing was kept of those named, so that it cannot be known which datasets hold them."
    if not records.mlflow:
        return "Which ones hold these predictions was not looked up: --mlflow URL was not given."
    from serinus.adapters.mlflow import MlflowRegistry

    registry, papers, unread = MlflowRegistry(records.mlflow), list[Papers](), list[str]()
    first = min(record.prediction.time for record in found)
    try:
        for version in registry.versions(records.loop):
            if version.created >= first:
                try:
                    papers.append(registry.papers(records.loop, version.number))
                except Fatal as error:
                    unread.append(f" Of version {version.number} it cannot be known: {error}.")
    except SerinusError as error:
        return f"Which ones hold these predictions could not be looked up: {error}"
    return told(may_hold(papers, found)) + "".join(unread)


def told(versions: Sequence[Papers]) -> str:
    """Which versions they are, for a person."""
    if not versions:
        return "No version was made from production of the time in which these predictions were answered."
    named = ", ".join(f"{papers.version.number} ({_rows(papers)})" for papers in versions)
    return (
        "These versions were made from production of a time in which some of these predictions were answered, so that"
        f" their datasets may hold the features and truths, without ids and keys: {named}."
    )


def _rows(papers: Papers) -> str:
    if papers.origin is None:
        return "whether its rows are kept is not known"
    return (
        f"rows kept: folder dataset of the MLflow run of {papers.version.trigger}"
        if papers.origin.kept
        else "no rows kept"
    )


def may_hold(every: Iterable[Papers], records: Sequence[Record]) -> tuple[Papers, ...]:
    """The versions that were made from production of a time in which one of these was answered.

    A dataset has neither ids nor keys, and a prediction whose truth came later is in none: whether a row is really
    there is not known.
    """
    from serinus.sources.reading import production_of

    times = [record.prediction.time for record in records]

    def holds(papers: Papers) -> bool:
        data = papers.contract.dataset
        production = data.source == production_of(papers.version.loop)
        return production and any(data.window.start <= time <= data.window.end for time in times)

    return tuple(papers for papers in every if holds(papers))
