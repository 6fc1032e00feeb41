"""The graph of a training run: ingest, check, train, validate, register.

KFP's control flow (If, ExitHandler, ParallelFor, retries) is not used: its local runner gets it silently wrong
(2.16.1). A gate that says no fails its step, and what it lets through is named by an output that a later step
requires. Nothing is cached: the source's rows, the champion and the user's own code are inputs that the cache's key
does not see. No `from __future__ import annotations`: KFP reads the annotations.
"""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.check.component import check
from components.ingest.component import ingest
from components.register.component import register
from components.train.component import train
from components.validate.component import validate


@dsl.pipeline(name="serinus-training", description="Data in, a validated model version out: or the reason why not.")
def training(loop: str, trigger: str, mlflow_uri: str, folder: str = "", why: str = "") -> int:
    """From a loop's data to a challenger in the registry; the output is its version's number.

    Args:
        loop: The ModelLoop as JSON.
        trigger: The run's key; the version that the run registers carries it, and so does the reason for none.
        mlflow_uri: Where the registry is.
        folder: The folder of the ModelLoop file and of the user's own code; empty on a cluster.
        why: What the run was asked for, as JSON (`facts.Why`); empty where nobody said.
    """
    run = {"loop": loop, "trigger": trigger, "mlflow_uri": mlflow_uri}
    ingested = ingest(**run, folder=folder).set_caching_options(False)
    dataset, version = ingested.outputs["dataset"], ingested.outputs["Output"]
    checked = check(**run, version=version, dataset=dataset).set_caching_options(False)
    trained = train(
        **run, folder=folder, version=version, checked=checked.outputs["Output"], dataset=dataset
    ).set_caching_options(False)
    model = trained.outputs["model"]
    validated = validate(
        **run, folder=folder, why=why, digest=trained.outputs["Output"], dataset=dataset, model=model
    ).set_caching_options(False)
    registered = register(
        **run,
        why=why,
        validated=validated.outputs["Output"],
        dataset=dataset,
        model=model,
        evaluation=validated.outputs["evaluation"],
    ).set_caching_options(False)
    number: int = registered.outputs["Output"]
    return number
