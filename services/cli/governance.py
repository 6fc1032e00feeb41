"""The words of an auditor: lineage, reproduce, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.context import STATE, Output, errors
from services.cli.options import (
    ContextOption,
    LoopOption,
    NamespaceOption,
    OutputOption,
    StateOption,
    VersionArgument,
)
from services.cli.truth import CollectorOption, MlflowOption, TokenOption

audit = typer.Typer(no_args_is_help=True, help="Look through the audit trail: who did what, when.")


def lineage(
    version: VersionArgument,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    mlflow: MlflowOption = "",
    output: OutputOption = Output.text,
) -> None:
    """Show what a version was made of, by which code, who let it in, on what evidence, and when it served.

    Of a version that was retired long ago as well. What was done is from the audit trail where there is one.
    """
    from services.cli import lineage as body
    from services.cli.records import Where

    with errors():
        body.show(Where(state, loop, namespace, cluster, collector, token, mlflow), version, output)


def reproduce(
    version: VersionArgument,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    mlflow: MlflowOption = "",
    dataset: Annotated[
        Path | None,
        typer.Option(help="Folder of the rows (data.parquet, dataset.json). Unset: those kept with the version."),
    ] = None,
    code: Annotated[
        Path | None,
        typer.Option(help="Folder of the loop's own modules. Unset: that of the local loop's file."),
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Train a version again, from the rows and the file it was made from, and compare the digests.

    Exit 0 when the same came out to the bit, 1 when something else did: then it says which file, and where.
    """
    from services.cli import reproduce as body
    from services.cli.records import Where

    with errors():
        where = Where(state, loop, namespace, cluster, mlflow=mlflow)
        body.reproduce(where, version, dataset, code, output)


@audit.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="What `serinus audit export` wrote. Unset: the trail itself.")
    ] = None,
    noted: Annotated[
        list[str] | None,
        typer.Option(
            "--noted",
            metavar="NUMBER:DIGEST",
            help="An entry as it was noted earlier; it must be there still. Again for others.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Look through the whole trail: was an entry changed, removed, or put elsewhere?

    Exit 0 when none was, 1 when one was, and it is named. That the end was not cut off is known from the loop's history
    and from what was noted.
    """
    from services.cli import audit as body
    from services.cli.records import Where

    with errors():
        body.verify(Where(state, loop, namespace, cluster, collector, token), file, noted or (), output)


@audit.command()
def export(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A new file. Unset: standard output.")
    ] = None,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
) -> None:
    """Write the whole trail as JSON lines, for an auditor: `serinus audit verify FILE` looks through it anywhere."""
    from services.cli import audit as body
    from services.cli.records import Where

    with errors():
        body.export(Where(state, loop, namespace, cluster, collector, token), out)
