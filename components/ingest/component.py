"""The KFP shell of `serinus.steps.ingest`."""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(loop: str, trigger: str, mlflow_uri: str, folder: str, dataset: dsl.Output[dsl.Dataset]) -> str:
    """Read the window's rows into a content-addressed snapshot; the output is its version."""
    from pathlib import Path

    from components import shows, wiring

    with wiring.step("ingest", loop, trigger, mlflow_uri):
        from serinus.steps import ingest as body

        about = body.run(loop, folder, Path(dataset.path), wiring.now(), lambda: wiring.open_records(loop))
        shows.dataset(about, dataset)
        return about.version
