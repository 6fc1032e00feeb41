"""The KFP shell of `serinus.steps.check`."""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def check(
    *,
    loop: str,
    trigger: str,
    mlflow_uri: str,
    version: str,
    dataset: dsl.Input[dsl.Dataset],
    findings: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Judge the snapshot; the output, which train requires, is the version of the data that passed."""
    from pathlib import Path

    from components import shows, wiring

    with wiring.step("check", loop, trigger, mlflow_uri), wiring.champion(loop, mlflow_uri) as champion:
        from serinus.steps import check as body

        with shows.page(Path(findings.path) / body.PAGE, report):
            body.run(loop, Path(dataset.path), champion, Path(findings.path), wiring.now())
        return version
