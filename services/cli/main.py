"""The command line: which words there are and what they take. What a word does lies in the module of its name beside
this one, and is imported when it is said, so that `--help` and short answers are there at once.

Exit codes: 0 done; 1 it could not be done (the reason is on standard error); 2 wrong use: arguments, or a ModelLoop
file with mistakes.
"""

from __future__ import annotations

from typing import Annotated

import typer

import serinus
from services.cli import demo, governance, truth
from services.cli.context import STATE, Output, Target, errors
from services.cli.options import (
    ContextOption,
    FileArgument,
    LoopOption,
    NamespaceOption,
    OutputOption,
    ReasonOption,
    StateOption,
    VersionArgument,
)
from services.cli.place import find

EXIT_CODES = "Exit codes: 0 done, 1 could not be done (the reason is on standard error), 2 wrong use or a wrong file."

app = typer.Typer(
    name="serinus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keeps a model in production good by itself: train, check, release by canary, watch, retrain.",
    epilog=EXIT_CODES,
)
drift = typer.Typer(no_args_is_help=True, help="Ask whether live traffic still looks like the training data.")


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


@app.command()
def up(
    file: FileArgument,
    state: StateOption = STATE,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port to serve predictions on. Unset: 8080, or a free one where that is taken."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is up; `serinus down` ends it.")
    ] = False,
) -> None:
    """Run a loop on this machine: train, serve, watch, retrain, until Ctrl-C."""
    from services.cli import up as body

    with errors():
        body.detached(file, state, port) if detach else body.foreground(file, state, port)


@app.command()
def down(state: StateOption = STATE) -> None:
    """End the loop and everything it started; its state stays for the next `up`."""
    from services.cli import up as body

    with errors():
        body.down(state)


@app.command()
def status(
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and follow what happens, until Ctrl-C.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Show what the loop does now: who serves, the canary and its evidence, the run, drift, the latest events."""
    from services.cli import status as body

    if watch and output == Output.json:
        raise typer.BadParameter("expected one of --watch and -o json, got both")
    with errors():
        place = find(state, loop, namespace, cluster)
        if output == Output.json:
            body.as_json(place)
        elif watch:
            body.watch(place)
        else:
            body.show(place)


@app.command()
def history(
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=10_000, help="So many latest events; a cluster keeps a hundred."),
    ] = 50,
    output: OutputOption = Output.text,
) -> None:
    """Show what happened, oldest first."""
    from services.cli import history as body

    with errors():
        body.show(find(state, loop, namespace, cluster), limit, output)


@app.command()
def run(
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended; exit 1 when it failed.")] = False,
) -> None:
    """Ask for a pipeline run now."""
    from services.cli import ask

    with errors():
        ask.run(find(state, loop, namespace, cluster), wait)


@app.command()
def approve(
    version: VersionArgument,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    reason: ReasonOption = "",
) -> None:
    """Let a waiting version in: its rollout begins."""
    from services.cli import ask

    with errors():
        ask.approve(find(state, loop, namespace, cluster), version, reason)


@app.command()
def reject(
    version: VersionArgument,
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    reason: ReasonOption = "",
) -> None:
    """Refuse a waiting version, or throw back the one on its way."""
    from services.cli import ask

    with errors():
        ask.reject(find(state, loop, namespace, cluster), version, reason)


@app.command()
def rollback(
    state: StateOption = STATE,
    loop: LoopOption = None,
    namespace: NamespaceOption = None,
    cluster: ContextOption = None,
    reason: ReasonOption = "",
) -> None:
    """Throw the canary back, or bring the last champion back when there is no canary."""
    from services.cli import ask

    with errors():
        ask.rollback(find(state, loop, namespace, cluster), reason)


@app.command()
def predict(
    rows: Annotated[
        str,
        typer.Argument(help="JSON rows: a file, `-` for standard input, or the JSON itself.", show_default=False),
    ],
    state: StateOption = STATE,
) -> None:
    """Send rows to the loop's endpoint and print its answer as JSON."""
    from services.cli import predict as body

    with errors():
        body.predict(state, rows)


@drift.command()
def check(file: FileArgument, state: StateOption = STATE, output: OutputOption = Output.text) -> None:
    """Look once at the live window, as the drift job does.

    The finding goes to the loop, and a run is asked for when the file's rule says so. Exit 0 when it could look,
    whatever it found, and 1 when it could not.
    """
    from services.cli import drift as body

    with errors():
        body.check(file, state, output)


@app.command()
def render(
    file: FileArgument,
    target: Annotated[Target, typer.Option("--target", help="What serves the loop.")] = Target.envoy,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of the objects for kubernetes.")] = "default",
) -> None:
    """Print what a ModelLoop leads to, as JSON, with a canary at its first step.

    For envoy that is its configuration, for kubernetes KServe's InferenceServices and the HTTPRoute that splits, at the
    chart's default gateway and domain.
    """
    from services.cli import tools

    with errors():
        tools.render(file, target, namespace)


@app.command()
def schema(
    example: Annotated[bool, typer.Option("--example", help="Print a file to start from instead.")] = False,
) -> None:
    """Print the JSON schema of the ModelLoop file."""
    from services.cli import tools

    tools.schema(example)


app.add_typer(drift, name="drift")
app.add_typer(truth.labels, name="labels")
app.command()(truth.quality)
app.command()(truth.which)
app.command()(truth.erase)
app.command()(governance.lineage)
app.command()(governance.reproduce)
app.add_typer(governance.audit, name="audit")
app.command()(demo.demo)


def main() -> None:
    """The entry point of `serinus`."""
    app()


if __name__ == "__main__":
    main()
