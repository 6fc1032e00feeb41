"""The words about answers that were given and what turned out to be true: labels, quality, which, erase."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from services.cli.context import STATE, Output, errors
from services.cli.options import ContextOption, LoopOption, NamespaceOption, OutputOption, StateOption

labels = typer.Typer(no_args_is_help=True, help="Tell the loop what turned out to be true.")

CollectorOption = Annotated[
    str,
    typer.Option("--collector", envvar="SERINUS_COLLECTOR_URL", metavar="URL", help="Where --loop's collector is."),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token",
        envvar="SERINUS_COLLECTOR_TOKEN_PATH",
        metavar="FILE",
        help="File with a bearer token for --collector. Unset: the kubeconfig's.",
    ),
]
MlflowOption = Annotated[
    str,
    typer.Option(
        "--mlflow", envvar="MLFLOW_TRACKING_URI", metavar="URL", help="Where --loop's versions are registered."
    ),
]


@labels.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="A .csv with a header, a .parquet, or a .jsonl file.", show_default=False)
    ],
    id: Annotated[str, typer.Option("--id", metavar="COLUMN", help="With the predictions' ids. Unset: `id`.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="COLUMN", help="With business keys. Unset: `key`.")] = "",
    value: Annotated[str, typer.Option("--value", metavar="COLUMN", help="With the truth. Unset: `truth`.")] = "",
    time: Annotated[
        str,
        typer.Option(
            "--time", metavar="COLUMN", help="When it became known. Unset: `at`; where that is not there, now."
        ),
    ] = "",
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Add labels: what was true of predictions, by their ids or by the business keys they were asked with.

    Prints what became of them. Adding a file twice changes nothing. Exit 1 when some are invalid; the others are kept.
    """
    from services.cli import labels as body
    from services.cli.records import Where

    with errors():
        body.add(Where(state, loop, namespace, cluster, collector, token), file, id, key, value, time, output)


def erase(
    reason: Annotated[
        str,
        typer.Option(
            "--reason", "-m", help="Why, without names of people; the audit trail keeps it.", show_default=False
        ),
    ],
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id", metavar="ID", help="Of a prediction, or of a request with all its rows; again.", show_default=False
        ),
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="A business key; again.", show_default=False)
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Who does it. Unset: you; a cluster knows it better.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again.")] = False,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    mlflow: MlflowOption = "",
) -> None:
    """Forget predictions and their labels for good, by id or by business key.

    What comes of them later is refused. Who did it and why is in the audit trail. Datasets that versions were made from
    are not reached; which ones may hold the same rows is said.
    """
    from services.cli import erase as body
    from services.cli.records import Where

    with errors():
        where = Where(state, loop, namespace, cluster, collector, token, mlflow)
        body.erase(where, ids or (), keys or (), by, reason, yes)


def which(
    prediction: Annotated[
        str, typer.Argument(help="The id that the answer came with: all of its rows. One of several is ID/0, ID/1, ...")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="All answers with this business key instead.")] = "",
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    mlflow: MlflowOption = "",
    output: OutputOption = Output.text,
) -> None:
    """Show which version gave an answer, when and to what, what was true, and what that version was made of."""
    from services.cli import which as body
    from services.cli.records import Where

    if bool(prediction) == bool(key):
        raise typer.BadParameter("expected a prediction's id or --key, got " + ("both" if key else "neither"))
    with errors():
        body.which(Where(state, loop, namespace, cluster, collector, token, mlflow), prediction, key, output)


def quality(
    window: Annotated[
        str, typer.Option("--window", metavar="DURATION", help="Length of a window. Unset: spec.quality.window.")
    ] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="So many latest windows.")] = 30,
    column: Annotated[str, typer.Option("--by", metavar="COLUMN", help="Also by the values of this feature.")] = "",
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    collector: CollectorOption = "",
    token: TokenOption = None,
    mlflow: MlflowOption = "",
    output: OutputOption = Output.text,
) -> None:
    """Show how good the answers were, by the time they were given and by version, with intervals.

    With the estimate that needs no labels, the share of rows whose truth is known, and what they were worth.
    """
    from services.cli import quality as body
    from services.cli.records import Where

    with errors():
        where = Where(state, loop, namespace, cluster, collector, token, mlflow)
        body.quality(where, _duration(window), last, column, output)


def _duration(text: str) -> timedelta | None:
    from serinus import durations

    if not text:
        return None
    try:
        return durations.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"--window: {error}") from None
