"""What the jobs beside a loop share: their arguments, and the way from these to the ports, local and on a cluster."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serinus import loading
from serinus.adapters.file_ledger import FileLedger
from serinus.errors import Fatal, SerinusError, SpecError
from serinus.ports import Ledger, ModelStore, Runner
from serinus.spec import ModelLoop
from services import platform, runs
from services.local import addresses

if TYPE_CHECKING:
    from serinus.adapters.collector_api import CollectorClient
    from serinus.adapters.kube import Kube

URL, TOKEN = "SERINUS_COLLECTOR_URL", "SERINUS_COLLECTOR_TOKEN_PATH"


@dataclass(frozen=True)
class At:
    """A loop and the ports that its jobs need."""

    spec: ModelLoop
    ledger: Ledger
    store: ModelStore
    models: Path  # folder of fetched model directories
    folder: Path | None  # where the ModelLoop file lies, on a laptop
    namespace: str
    collector_url: str  # "" where there is none
    token_path: str
    prometheus_url: str  # "" where nobody says it
    where: Mapping[str, str]  # what its series of this loop carry besides the loop's name
    runner: Callable[[], Runner]

    def collector(self) -> CollectorClient:
        """The collector, for records and labels. Raises Fatal where there is none."""
        return collector(self.collector_url, self.namespace, self.token_path)


def collector(url: str, namespace: str, token_path: str = "") -> CollectorClient:
    """The collector at `url`, for the loops of a namespace. Raises Fatal where `url` is ""."""
    from serinus.adapters.collector_api import CollectorClient

    if not url:
        raise Fatal(f"expected a collector's URL in {URL}, or one beside the local loop; got none")
    return CollectorClient(url, namespace, token_path)


def parser(program: str, about: str) -> argparse.ArgumentParser:
    """The arguments of a job, those that say which loop is meant; `parse` reads them."""
    made = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    environment = os.environ.get
    made.add_argument(
        "--loop-file",
        type=Path,
        default=environment("SERINUS_LOOP_FILE"),
        help="the ModelLoop file [SERINUS_LOOP_FILE]",
    )
    made.add_argument(
        "--state",
        type=Path,
        default=Path(environment("SERINUS_STATE", ".serinus")),
        help="folder of the loop's state [SERINUS_STATE, .serinus]",
    )
    made.add_argument(
        "--mlflow",
        default=environment("SERINUS_MLFLOW_URL", ""),
        help="MLflow's URL [SERINUS_MLFLOW_URL, the one of the state folder]",
    )
    made.add_argument(
        "--collector",
        default=environment(URL, ""),
        help=f"the collector's URL [{URL}, the one of the state folder]",
    )
    made.add_argument(
        "--cluster", action="store_true", help="a ModelLoop on Kubernetes; addresses by SERINUS_* variables"
    )
    made.add_argument("--namespace", default="", help="its namespace")
    made.add_argument("--loop", default="", help="its name")
    made.add_argument("--json", action="store_true", help="print what was found as JSON")
    return made


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, once they name a loop; ends the program when they do not, as argparse does."""
    given = parser.parse_args(arguments)
    if given.cluster and not (given.namespace and given.loop):
        parser.error("--cluster needs --namespace and --loop")
    if not given.cluster and given.loop_file is None:
        parser.error("expected --loop-file FILE, or --cluster")
    return given


def ended(work: Callable[[], int], what: str) -> int:
    """The exit code of a job's `work`, its own, or 2 for a file with mistakes and 1 when it could not `what`."""
    try:
        return work()
    except SpecError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return 2
    except SerinusError as error:
        sys.stderr.write(f"could not {what}: {error}\n")
        return 1


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[At]:
    """The loop that the arguments name, for as long as the block lasts. Raises SpecError, Fatal, Unavailable."""
    from serinus.adapters.mlflow import MlflowRegistry

    with ExitStack() as stack:
        if not given.cluster:
            yield local(given.loop_file, given.state, given.mlflow, given.collector)
            return
        from serinus.adapters.kube import Kube
        from serinus.adapters.kube_ledger import KubeLedger

        here = platform.from_environment()
        store = MlflowRegistry(here.mlflow_url)
        kube = Kube.connect()
        spec = held(kube, given.namespace, given.loop)
        models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="models-")))
        yield At(
            spec, KubeLedger(kube, given.namespace), store, models, None,
            given.namespace, here.collector_url, here.collector_token_path,
            here.prometheus_url, {"namespace": given.namespace}, lambda: runs.runner(here, spec, store),
        )  # fmt: skip


def held(kube: Kube, namespace: str, loop: str) -> ModelLoop:
    """The ModelLoop that a job on a cluster was started for. Raises Fatal when there is none."""
    from serinus.adapters.kube import MODEL_LOOPS

    found = kube.get(MODEL_LOOPS, namespace, loop)
    if found is None:
        raise Fatal(f"there is no ModelLoop {namespace}/{loop}; was it deleted while this job began?")
    return loading.held(found)


def local(file: Path, state: Path, mlflow: str = "", collector: str = "") -> At:
    """The loop in `file`, whose state is in the folder `state`. mlflow, collector: URLs; "" for the supervisor's."""
    from serinus.adapters.mlflow import MlflowRegistry

    spec = loading.read(file)
    known = addresses.load(state / "ports.json")
    if known is None and not mlflow:
        raise Fatal(f"{state} has no loop yet; start one with `serinus up {file}`, or name the addresses")
    prometheus = ""
    if known is not None:
        mlflow, collector = mlflow or known.url("mlflow"), collector or known.url("collector")
        prometheus = known.url("prometheus")
    folder = file.resolve().parent

    def runner() -> Runner:
        from serinus.adapters.kfp_local import LocalRunner

        environment = {URL: collector} if collector else {}
        return LocalRunner(
            state / "runs", runs.PIPELINE, mlflow, folder, spec.spec.training.deadline, environment=environment
        )

    return At(
        spec, FileLedger(state / "ledger"), MlflowRegistry(mlflow), state / "models", folder,
        "local", collector, os.environ.get(TOKEN, ""), prometheus, {}, runner,
    )  # fmt: skip
