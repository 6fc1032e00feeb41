"""Arguments and options that several words take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.context import Output

FileArgument = Annotated[Path, typer.Argument(help="The ModelLoop file.", show_default=False)]
VersionArgument = Annotated[int, typer.Argument(help="The version's number.", show_default=False)]
StateOption = Annotated[
    Path,
    typer.Option("--state", "-s", envvar="SERINUS_STATE", metavar="DIR", help="Folder of the loop's local state."),
]
LoopOption = Annotated[
    str | None,
    typer.Option("--loop", "-l", metavar="NAME", help="A ModelLoop on a Kubernetes cluster. Unset: the local one."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of --loop. Unset: that of the kubeconfig's context."),
]
ContextOption = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig to find --loop by. Unset: the current one.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text for people, json for scripts.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; kept with the event and the version.")]
