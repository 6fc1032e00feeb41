"""Values that nobody can mean are refused, by name, before anything is installed."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.scenarios import FILES
from tools import chart

WRONG = (
    ("operator.replica=3", "replica"),
    ("bundled.enabled=true", "bundled"),
    ("operator.replicas=0", "replicas"),
    ("operator.replicas=two", "replicas"),
    ("operator.logLevel=verbose", "logLevel"),
    ("images.pullPolicy=Sometimes", "pullPolicy"),
    ("images.tag=latest", "tag"),
    ("images.control.repository=UPPER", "repository"),
    ("prometheus.url=prometheus:9090", "prometheus"),
    ("prometheus.scrapeInterval=30", "scrapeInterval"),
    ("kfp.url=ml-pipeline:8888", "kfp"),
    ("serving.mode=RawDeployment", "mode"),
    ("serving.gateway=kserve-ingress-gateway", "gateway"),
    ("serving.domain=.local", "domain"),
    ("mlflow.url=mlflow", "url"),
    ("mlflow.bundled.persistence.size=ten", "size"),
    ("collector.url=collector:8080", "url"),
    ("collector.replicas=0", "replicas"),
    ("collector.persistence.size=ten", "size"),
    ("collector.database.existingSecret=mine", "database"),
    ("test.loop=flight-delay", "loop"),
    ("test.gatewayUrl=envoy", "gatewayUrl"),
)
TOGETHER = (
    (("watchNamespace=elsewhere",), 'expected the release\'s own namespace "serinus" or nothing, got "elsewhere"'),
    (("kfp.multiUser=true",), "expected the profile's namespace that runs belong to in kfp.namespace"),
    (("mlflow.url=http://mlflow:5000",), "set mlflow.bundled.enabled=false"),
    (("collector.enabled=true", "collector.url=http://collector:8080"), "set collector.enabled=false"),
    (
        ("collector.enabled=true", "collector.replicas=2"),
        "expected a Postgres that they share in collector.databaseUrl",
    ),
    (("mlflow.bundled.enabled=false",), "expected the address of an MLflow server in mlflow.url"),
    (("serviceAccount.create=false",), "expected the name of an account in serviceAccount.name"),
)


@pytest.mark.parametrize(("value", "name"), WRONG, ids=[value for value, _ in WRONG])
def test_a_wrong_value_is_refused_by_name(value: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"values don't meet the specifications of the schema") as refused:
        chart.rendered("--set", value)
    assert name in str(refused.value).partition("schema")[2]


@pytest.mark.parametrize(("values", "said"), TOGETHER, ids=[",".join(values) for values, _ in TOGETHER])
def test_values_that_contradict_each_other_are_refused_with_what_to_do(values: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=r"execution error|executing") as refused:
        chart.rendered(*(word for value in values for word in ("--set", value)))
    assert said in str(refused.value)


@pytest.mark.parametrize("scenario", sorted(FILES))
def test_the_linter_has_nothing_to_say(scenario: str) -> None:
    words = ("lint", "--strict", "--namespace", chart.NAMESPACE, "--values", str(FILES[scenario]), str(chart.CHART))
    assert "1 chart(s) linted, 0 chart(s) failed" in chart.run("helm", *words)


def test_scenarios_set_only_values_that_exist() -> None:
    known = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    for path in FILES.values():
        for key in yaml.safe_load(path.read_text()):
            assert key in known, f"{path.name}: {key}"


@pytest.mark.parametrize(
    ("release", "prefix"),
    [("serinus", "serinus"), ("my-serinus", "my-serinus"), ("loops", "loops-serinus")],
)
def test_names_begin_with_the_release(release: str, prefix: str) -> None:
    made = chart.rendered(release=release)
    (name,) = (o["metadata"]["name"] for o in made if o["kind"] == "PodDisruptionBudget")
    assert name == f"{prefix}-operator"


def test_a_release_of_the_longest_name_still_has_names_that_fit() -> None:
    made = chart.rendered(release="a" * 53)
    assert max(len(o["metadata"]["name"]) for o in made) <= 63
