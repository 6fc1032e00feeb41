"""Prometheus behind the Metrics port: exact counts by its HTTP API, `/api/v1/query`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import httpx
import orjson

from serinus.errors import Unavailable
from serinus.facts import Series
from serinus.stats.counters import Gain, gain

Key = tuple[tuple[str, str], ...]  # a series' labels, sorted

_PART = "serinus_part"  # a label of ours that tells the parts of one answer apart
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_INSTANCES = 50  # so many processes are named one by one when a question is narrowed to them


@dataclass(frozen=True)
class _Selector:
    """The series of a metric with these labels, perhaps of some processes only."""

    metric: str
    labels: Mapping[str, str]
    instances: frozenset[str] = frozenset()

    def __str__(self) -> str:
        for name in (self.metric, *self.labels):
            if not _NAME.fullmatch(name):
                raise ValueError(f"expected a metric's or a label's name, got {name!r}")
        matchers = [f"{name}={_quote(value)}" for name, value in self.labels.items()]
        if self.instances:
            matchers.append(f"instance=~{_quote('|'.join(re.escape(i) for i in sorted(self.instances)))}")
        return f"{self.metric}{{{','.join(matchers)}}}"

    def of(self, keys: Iterable[Key]) -> _Selector:
        """As few series as can be named in short that hold all of `keys`."""
        instances = frozenset(dict(key).get("instance", "") for key in keys)
        return replace(self, instances=instances) if "" not in instances and len(instances) <= _INSTANCES else self


class _Summary(NamedTuple):
    """What one question tells of a series: its last value, the last one at or before the start, resets, samples."""

    last: float
    base: float | None
    resets: float
    samples: int


class PrometheusMetrics:
    """Counters of the Prometheus at `url` (`http://prometheus:9090`, with a path prefix where it has one).

    `timeout` (seconds) bounds every question as a whole, `max_bytes` its answer. `lookback` is how long before the
    start a series' last sample is looked for; where none is found, `memory` is how far back a gap in the scrapes is
    told from a birth. `max_samples` raw samples are read at once, where raw samples are needed. `where` is what all
    series must carry besides the labels of a question: the namespace, on a cluster where several have loops. Series of
    the metrics in `instead` must carry what it says for them: one process may count for the loops of many namespaces.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 5.0,
        *,
        lookback: timedelta = timedelta(minutes=5),
        memory: timedelta = timedelta(days=1),
        max_bytes: int = 64 * 2**20,
        max_samples: int = 200_000,
        where: Mapping[str, str] | None = None,
        instead: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._where, self._instead = dict(where or {}), dict(instead or {})
        self._url = url.rstrip("/") + "/api/v1/query"
        self._shown = httpx.URL(url).copy_with(username=None, password=None)
        self._timeout = timeout
        self._lookback = _milliseconds(lookback)
        self._memory = _milliseconds(memory)
        self._max_bytes = max_bytes
        self._max_samples = max_samples
        # The environment's proxies are for the world outside; a Prometheus is a neighbour.
        self._client = httpx.Client(timeout=timeout, trust_env=False, headers={"Accept": "application/json"})

    def increases(self, metric: str, labels: Mapping[str, str], start: datetime, end: datetime) -> tuple[Series, ...]:
        """What every series of `metric` with `labels` gained in (start, end]; empty when there is no such series.

        Exact: the last raw sample at or before `end` less the last one at or before `start`, resets handled, nothing
        extrapolated. A series that nobody knew before `start` counts from 0. One that was last seen less than
        `lookback` before `start` is told with 0 samples. Time stamps are whole milliseconds.

        Raises Unavailable when Prometheus is away, slow, or answers anything but a complete result.
        """
        first, last = (round(moment.timestamp() * 1000) for moment in (start, end))
        if first >= last:
            raise ValueError(f"expected start before end, got {start.isoformat()} and {end.isoformat()}")
        gains = self._gains(_Selector(metric, {**labels, **self._instead.get(metric, self._where)}), first, last)
        return tuple(Series(dict(key), *found) for key, found in sorted(gains.items()))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _gains(self, selector: _Selector, start: int, end: int) -> dict[Key, Gain]:
        """The gain of every series in (start, end], milliseconds.

        Raw samples of a day's window are some hundred megabytes of JSON, so the server is asked for the few that
        matter, and raw ones are read only of series that were reset, and only where.
        """
        found = self._summaries(selector, start, end)
        orphans = [key for key, s in found.items() if s.base is None and s.last > 0]
        older = self._last(selector.of(orphans), start, self._memory) if orphans else {}
        gains = {}
        for key, summary in found.items():
            base = older.get(key, 0.0) if summary.base is None else summary.base
            gained = summary.last - base if summary.last >= base else summary.last
            gains[key] = Gain(gained, summary.samples)
        reset = {key: older.get(key, s.base) for key, s in found.items() if s.resets > 0}
        if reset:
            samples = sum(s.samples for s in found.values())
            gains |= self._reset(selector.of(reset), reset, start, end, samples)
        return gains

    def _reset(
        self, selector: _Selector, reset: Mapping[Key, float | None], start: int, end: int, samples: int
    ) -> dict[Key, Gain]:
        """The gains of series that were reset, from raw samples and what they were before; long intervals by halves."""
        if samples > self._max_samples and end - start > self._lookback:
            middle = (start + end) // 2
            halves = [self._gains(selector, start, middle), self._gains(selector, middle, end)]
            return {key: _sum(half[key] for half in halves if key in half) for key in reset}
        answer = self._ask(f"{selector}[{end - start}ms]", end, "matrix")
        raw = {_key(row["metric"]): [(round(at * 1000), float(value)) for at, value in row["values"]] for row in answer}
        return {key: gain(raw.get(key, ()), start, end, before) for key, before in reset.items()}

    def _summaries(self, selector: _Selector, start: int, end: int) -> dict[Key, _Summary]:
        whole = end - start + self._lookback
        parts = {
            "last": f"last_over_time({selector}[{whole}ms])",
            "base": f"last_over_time({selector}[{self._lookback}ms] @ {start / 1000:.3f})",
            "resets": f"resets({selector}[{whole}ms])",
            # Prometheus 2 counts the window's left end in, and Prometheus 3 does not.
            "samples": f"count_over_time({selector}[{max(end - start - 1, 1)}ms])",
        }
        # One question instead of four, so that no scrape comes in between.
        query = " or ".join(f'label_replace({part}, "{_PART}", "{name}", "", "")' for name, part in parts.items())
        found: dict[Key, dict[str, float]] = {}
        for row in self._ask(query, end, "vector"):
            labels = dict(row["metric"])
            part = labels.pop(_PART)
            found.setdefault(_key(labels), {})[part] = float(row["value"][1])
        return {
            key: _Summary(parts["last"], parts.get("base"), parts.get("resets", 0.0), int(parts.get("samples", 0)))
            for key, parts in found.items()
        }

    def _last(self, selector: _Selector, at: int, back: int) -> dict[Key, float]:
        rows = self._ask(f"last_over_time({selector}[{back}ms])", at, "vector")
        return {_key(row["metric"]): float(row["value"][1]) for row in rows}

    def _ask(self, query: str, at: int, kind: str) -> list[Any]:
        """The rows of an instant query at `at`, milliseconds. Everything that is not a complete answer raises."""
        form = {"query": query, "time": f"{at / 1000:.3f}", "timeout": f"{self._timeout:g}s"}
        status, body = self._post(form)
        try:
            answer = orjson.loads(body)
            if answer["status"] != "success":
                raise self._unavailable(f"it answered {status}, {answer.get('errorType')}: {answer.get('error')}")
            if answer.get("warnings"):
                raise self._unavailable(f"its answer is not complete: {'; '.join(answer['warnings'])}")
            if answer["data"]["resultType"] != kind:
                raise self._unavailable(f"expected a {kind}, got a {answer['data']['resultType']}")
            rows: list[Any] = answer["data"]["result"]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            start = body[:80].decode(errors="replace")
            raise self._unavailable(f"expected Prometheus' JSON, got {status} with {start!r}") from error
        return rows

    def _post(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        try:
            with self._client.stream("POST", self._url, data=form) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > self._max_bytes:
                        raise self._unavailable(f"its answer is larger than {self._max_bytes} bytes")
                    if time.monotonic() > deadline:
                        raise self._unavailable(f"it did not finish answering within {self._timeout:g} s")
                return response.status_code, bytes(body)
        except httpx.TimeoutException as error:
            raise self._unavailable(f"it did not answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"cannot read counters from Prometheus at {self._shown}: {why}")


def _key(labels: Mapping[str, str]) -> Key:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))


def _sum(gains: Iterable[Gain]) -> Gain:
    total = Gain(0.0, 0)
    for found in gains:
        total = Gain(total.increase + found.increase, total.samples + found.samples)
    return total


def _milliseconds(duration: timedelta) -> int:
    if duration < timedelta(milliseconds=1):
        raise ValueError(f"expected a duration above zero, got {duration}")
    return round(duration / timedelta(milliseconds=1))


def _quote(value: str) -> str:
    """A PromQL string; JSON's escapes are a subset of Go's, which PromQL uses."""
    return json.dumps(value, ensure_ascii=False)
