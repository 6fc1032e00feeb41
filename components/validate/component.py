"""The KFP shell of `serinus.steps.validate`."""
# mypy: disallow-untyped-decorators=False

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def validate(
    *,
    loop: str,
    trigger: str,
    mlflow_uri: str,
    why: str,
    folder: str,
    digest: str,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    figures: dsl.Output[dsl.Metrics],
    curves: dsl.Output[dsl.ClassificationMetrics],
    card: dsl.Output[dsl.HTML],
) -> str:
    """Judge the candidate; the output, which register requires, is the digest of the model that passed."""
    from pathlib import Path

    from components import shows, wiring

    with wiring.step("validate", loop, trigger, mlflow_uri), wiring.champion(loop, mlflow_uri) as champion:
        from serinus.steps import validate as body

        with shows.page(Path(evaluation.path) / body.PAGE, card):
            paths = (Path(dataset.path), Path(model.path), champion, Path(evaluation.path))
            seen = body.run(loop, folder, *paths, why=why)
        shows.figures(seen, figures)
        shows.curves(seen, curves)
        return digest
