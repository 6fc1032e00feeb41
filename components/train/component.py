"""The KFP shell of `serinus.steps.train`."""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    *,
    loop: str,
    trigger: str,
    mlflow_uri: str,
    folder: str,
    version: str,
    checked: str,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
) -> str:
    """Fit a model on the snapshot that the check let through; the output is the model's digest."""
    from pathlib import Path

    from components import shows, wiring

    with wiring.step("train", loop, trigger, mlflow_uri):
        from serinus.steps import train as body

        wiring.require("check", passed=checked, subject=version)
        digest = body.run(loop, folder, Path(dataset.path), Path(model.path))
        shows.model(digest, version, model)
        return digest
