"""A loop's pipeline, compared whole with what KFP compiles.

No `from __future__ import annotations` here: KFP reads the annotations of components.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.compile import COMPILED
from serinus.errors import Fatal
from serinus.render.collecting import Collector
from serinus.render.pipeline import TOKEN_LABEL, TOKEN_SECRET, Production, content_hash, render
from serinus.spec.model import Training
from services import runs
from services.platform import Platform
from tests.unit.loop_cases import spec

IMAGE = "serinus/pipeline:0.1.0"
PLAIN = Training(estimator="random-forest")
FULL = Training.model_validate(
    {
        "estimator": "random-forest",
        "image": "mine:1",
        "resources": {
            "requests": {"cpu": "200m", "memory": "512Mi"},
            "limits": {"cpu": "1.5", "memory": "2G", "nvidia.com/gpu": "1"},
        },
        "nodeSelector": {"pool": "train"},
        "secrets": {
            "DB_USER": {"secret": "db", "key": "user"},
            "DB_PASSWORD": {"secret": "db", "key": "password"},
            "S3_KEY": {"secret": "bucket"},
        },
    }
)
KUBERNETES = {
    "imagePullPolicy": "IfNotPresent",
    "nodeSelector": {"labels": {"pool": "train"}},
    "secretAsEnv": [
        {
            "secretName": "bucket",
            "secretNameParameter": {"runtimeValue": {"constant": "bucket"}},
            "keyToEnv": [{"envVar": "S3_KEY", "secretKey": "S3_KEY"}],
            "optional": False,
        },
        {
            "secretName": "db",
            "secretNameParameter": {"runtimeValue": {"constant": "db"}},
            "keyToEnv": [
                {"envVar": "DB_PASSWORD", "secretKey": "password"},
                {"envVar": "DB_USER", "secretKey": "user"},
            ],
            "optional": False,
        },
    ],
}


def compiled(image: str, full: bool) -> str:
    """A pipeline of one step as KFP compiles it; with the resources and Kubernetes settings of FULL, or without."""
    from kfp import compiler, dsl, kubernetes

    @dsl.component(base_image=image, install_kfp_package=False)  # type: ignore[untyped-decorator]
    def step(x: str) -> str:
        return x

    @dsl.pipeline(name="one")  # type: ignore[untyped-decorator]
    def one(x: str) -> None:
        task = step(x=x).set_caching_options(False).set_env_variable("SERINUS_IMAGE", image)
        if full:
            task.set_cpu_request("200m").set_cpu_limit("1.5").set_memory_request("512Mi").set_memory_limit("2G")
            task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit("1")
            kubernetes.set_image_pull_policy(task, "IfNotPresent")
            kubernetes.add_node_selector(task, "pool", "train")
            kubernetes.use_secret_as_env(task, "bucket", {"S3_KEY": "S3_KEY"})
            kubernetes.use_secret_as_env(task, "db", {"password": "DB_PASSWORD", "user": "DB_USER"})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.yaml"
        compiler.Compiler().compile(one, str(path))
        return path.read_text()


def documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def test_image_resources_and_what_is_kubernetes_own_are_as_kfp_and_kfp_kubernetes_compile_them() -> None:
    pipeline, platform = documents(render(compiled("any", full=False), FULL, IMAGE, "IfNotPresent"))
    assert [pipeline, platform] == documents(compiled("mine:1", full=True))
    assert platform == {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-step": KUBERNETES}}}}}


FOLDER = "/var/run/secrets/serinus/collector"
COLLECTOR = Collector("http://collector:8085", f"{FOLDER}/token")


@pytest.mark.parametrize("multi_user", [False, True])
def test_a_run_that_reads_production_finds_the_collector_and_a_token_as_kfp_kubernetes_mounts_it(
    multi_user: bool,
) -> None:
    from kfp import compiler, dsl, kubernetes

    @dsl.component(base_image=IMAGE, install_kfp_package=False)  # type: ignore[untyped-decorator]
    def step(x: str) -> str:
        return x

    @dsl.pipeline(name="one")  # type: ignore[untyped-decorator]
    def one(x: str) -> None:
        task = step(x=x).set_caching_options(False).set_env_variable("SERINUS_IMAGE", IMAGE)
        task.set_env_variable("SERINUS_COLLECTOR_URL", "http://collector:8085")
        task.set_env_variable("SERINUS_COLLECTOR_TOKEN_PATH", f"{FOLDER}/token")
        if multi_user:
            kubernetes.add_pod_label(task, TOKEN_LABEL, "true")
        else:
            kubernetes.use_secret_as_volume(task, TOKEN_SECRET, FOLDER, optional=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.yaml"
        compiler.Compiler().compile(one, str(path))
        expected = documents(path.read_text())
    made = render(compiled("any", full=False), PLAIN, IMAGE, production=Production(COLLECTOR, multi_user))
    assert documents(made) == expected


def test_a_collector_that_asks_for_no_token_is_shown_none() -> None:
    made = render(compiled("any", full=False), PLAIN, IMAGE, production=Production(Collector("http://c")))
    (pipeline,) = documents(made)
    (executor,) = pipeline["deploymentSpec"]["executors"].values()
    assert [e["name"] for e in executor["container"]["env"]] == ["SERINUS_IMAGE", "SERINUS_COLLECTOR_URL"]


def test_only_runs_of_loops_that_learn_from_production_are_told_of_the_collector() -> None:
    learning = spec("collect: {}")
    source = learning.spec.data.source.model_validate({"production": {}})
    data = learning.spec.data.model_copy(update={"source": source})
    learning = learning.model_copy(update={"spec": learning.spec.model_copy(update={"data": data})})
    urls = ("http://mlflow", "http://prometheus", "http://kfp")
    here = Platform(*urls, collector_url=COLLECTOR.url, collector_token_path=COLLECTOR.token_path)
    theirs = Platform(*urls, "profile", collector_url=COLLECTOR.url, collector_token_path=COLLECTOR.token_path)
    assert runs.production(here, learning) == Production(COLLECTOR)
    assert runs.production(theirs, learning) == Production(COLLECTOR, multi_user=True)
    assert runs.production(here, spec("collect: {}")) is None
    assert runs.production(Platform(*urls), learning) is None


def test_a_loop_that_asks_for_nothing_gets_the_compiled_pipeline_with_the_platforms_image() -> None:
    (pipeline,) = documents(render(COMPILED.read_text(), PLAIN, "elsewhere/pipeline:7"))
    (expected,) = documents(COMPILED.read_text().replace(f"image: {IMAGE}", "image: elsewhere/pipeline:7"))
    for executor in expected["deploymentSpec"]["executors"].values():
        executor["container"]["env"] = [{"name": "SERINUS_IMAGE", "value": "elsewhere/pipeline:7"}]
    assert pipeline == expected


def test_every_step_of_the_training_pipeline_gets_the_same() -> None:
    pipeline, platform = documents(render(COMPILED.read_text(), FULL, IMAGE, "Always"))
    executors = pipeline["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {"mine:1"}
    everywhere = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert everywhere == {name: {**KUBERNETES, "imagePullPolicy": "Always"} for name in executors}


def test_what_a_platform_part_says_already_stays() -> None:
    once = render(COMPILED.read_text(), FULL, IMAGE, "Always")
    twice = documents(render(once, PLAIN, IMAGE, "Never"))[1]
    step = twice["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]
    assert step == {**KUBERNETES, "imagePullPolicy": "Never"}


def test_the_same_input_gives_the_same_text_and_name() -> None:
    text = render(COMPILED.read_text(), FULL, IMAGE, "Always")
    shuffled = FULL.model_copy(update={"secrets": dict(reversed(FULL.secrets.items()))})
    assert render(COMPILED.read_text(), shuffled, IMAGE, "Always") == text
    assert render(render(COMPILED.read_text(), PLAIN, IMAGE), PLAIN, IMAGE) == render(
        COMPILED.read_text(), PLAIN, IMAGE
    )
    assert "&id" not in text, "no YAML anchors"
    assert len(content_hash(text)) == 32
    assert content_hash(text) == content_hash(str(text))
    assert content_hash(text) != content_hash(text + " ")


def test_kfp_reads_what_was_rendered() -> None:
    from kfp import components

    loaded = components.load_component_from_text(render(COMPILED.read_text(), FULL, IMAGE, "Always"))
    assert loaded.name == "serinus-training"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"requests": {"cpu": "two"}}, "requests: expected cores such as 2, 0.5 or 500m, got 'two'"),
        ({"limits": {"memory": "1.5Gi"}}, "limits: expected whole bytes such as 512Mi, 4Gi or 2G, got '1.5Gi'"),
        (
            {"requests": {"a/gpu": "1"}},
            r"requests: expected cpu and memory \(an accelerator goes under limits\), got a/gpu",
        ),
        ({"limits": {"a/gpu": "1", "b/gpu": "1"}}, "limits: expected cpu, memory and at most one kind of accelerator"),
        ({"limits": {"a/gpu": "half"}}, "got a/gpu: 'half'"),
        ({"limits": {"ephemeral-storage": "1Gi"}}, "got ephemeral-storage: '1Gi'"),
    ],
)
def test_resources_that_kubeflow_cannot_express_are_refused_by_the_spec(
    resources: dict[str, dict[str, str]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Training.model_validate({"estimator": "random-forest", "resources": resources})


@pytest.mark.parametrize("text", ["", "a: 1", "a: 1\n---\nb: 2\n---\nc: 3", "[]"])
def test_what_is_no_pipeline_is_refused(text: str) -> None:
    with pytest.raises(Fatal, match="expected a compiled pipeline"):
        render(text, PLAIN, IMAGE)


def test_a_pipeline_that_would_cache_a_step_is_refused() -> None:
    cached = compiled("any", full=False).replace("cachingOptions: {}", "cachingOptions: {enableCache: true}")
    with pytest.raises(Fatal, match="step would be cached"):
        render(cached, PLAIN, IMAGE)


def test_secrets_have_names_that_an_environment_can_have() -> None:
    with pytest.raises(
        ValueError, match="expected names of environment variables such as DB_PASSWORD, got 'db-password'"
    ):
        Training.model_validate({"estimator": "random-forest", "secrets": {"db-password": {"secret": "db"}}})
