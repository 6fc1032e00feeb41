"""The command line: which words there are. What they do lies in the modules beside this one.

Exit codes: 0 done; 1 it could not be done (the reason is on standard error); 2 wrong use: arguments, or a ModelLoop
file with mistakes.
"""

from __future__ import annotations

from typing import Annotated

import typer

import serinus
from services.cli import ask, demo, drift, show, tools, up

app = typer.Typer(
    name="serinus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keeps a model in production good by itself: train, check, release by canary, watch, retrain.",
    epilog="Exit codes: 0 done, 1 could not be done (the reason is on standard error), 2 wrong use or a wrong file.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"serinus {serinus.__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for command in (
    up.up, up.down, ask.run, show.status, show.history, ask.predict, ask.approve, ask.reject, ask.rollback,
    tools.render, tools.schema, demo.demo,
):  # fmt: skip
    app.command()(command)
app.add_typer(drift.app, name="drift")


def main() -> None:
    """The entry point of `serinus`."""
    app()


if __name__ == "__main__":
    main()
