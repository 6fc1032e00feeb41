"""The alerts: what Prometheus' own tool says of them, that each is tried both ways, has its page, and asks for what is
really told.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict

import pytest
import yaml

from tests.chart.queries import (
    FILES,
    ROOT,
    alerts,
    grouped,
    panel_queries,
    promtool,
    selectors,
    variable_queries,
)
from tests.servers.telling import telling

TESTS = ROOT / "tests" / "chart" / "alerts_test.yaml"
PAGES = ROOT / "docs" / "runbooks"
ALERTS = alerts()
DISCOVERED = {"namespace", "pod", "instance"}
"""Labels that service discovery adds to every series."""

QUERIES = {name: rule["expr"] for name, rule in ALERTS.items()} | panel_queries() | variable_queries()


def _promtool(*arguments: str) -> None:
    done = subprocess.run([str(promtool()), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _told() -> dict[str, list[dict[str, str]]]:
    """Every sample that the programs export: name -> labels."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for registry in telling().registries():
        for family in registry.collect():
            for sample in family.samples:
                found[sample.name].append(sample.labels)
    return found


TOLD = _told()


def test_prometheus_reads_the_rules() -> None:
    _promtool("check", "rules", str(FILES / "alerts.yaml"))


def test_alerts_fire_when_they_should_and_not_when_they_should_not() -> None:
    _promtool("test", "rules", str(TESTS))


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_is_tried_firing_and_not_firing(name: str) -> None:
    tried = [t for case in yaml.safe_load(TESTS.read_text())["tests"] for t in case["alert_rule_test"]]
    outcomes = {bool(t.get("exp_alerts")) for t in tried if t["alertname"] == name}
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"Serinus([A-Z][a-z]+)+", name)
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_what_is_needed_at_night(name: str) -> None:
    headings = re.findall(r"^#+ (.*)$", (PAGES / f"{name}.md").read_text(), re.MULTILINE)
    assert headings == [
        name, "What it means", "What users notice", "What to look at", "What to do", "When to leave it alone",
    ]  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_metrics_and_labels_that_are_told(name: str) -> None:
    asked = list(selectors(QUERIES[name]))
    assert asked
    for metric, matched in asked:
        assert metric in TOLD, f"{metric} is exported by nobody"
        labels = {label for sample in TOLD[metric] for label in sample} | DISCOVERED
        assert matched.keys() <= labels
        for label, wanted in matched.items():
            if "$" not in wanted and label not in DISCOVERED:
                values = {sample[label] for sample in TOLD[metric]}
                missing = [w for w in wanted.split("|") if not any(re.fullmatch(w, v) for v in values)]
                assert missing == [], f"{metric} never has {label}={missing}"
    known = {label for metric, _ in asked for sample in TOLD[metric] for label in sample} | DISCOVERED
    assert grouped(QUERIES[name]) <= known
