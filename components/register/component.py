"""The KFP shell of `serinus.steps.register`."""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    *,
    loop: str,
    trigger: str,
    mlflow_uri: str,
    why: str,
    validated: str,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    summary: dsl.Output[dsl.Markdown],
) -> int:
    """Register the candidate that validation let through, as challenger; the output is its version's number."""
    from pathlib import Path

    from components import shows, wiring

    with wiring.step("register", loop, trigger, mlflow_uri) as store:
        from serinus import artifact
        from serinus.steps import register as body

        wiring.require("validate", passed=validated, subject=artifact.verify(Path(model.path)))
        paths = (Path(dataset.path), Path(model.path), Path(evaluation.path))
        version = wiring.patiently(lambda: body.run(loop, trigger, *paths, store(), why=why))
        shows.version(version, summary)
        return version.number
