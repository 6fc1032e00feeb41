"""A model behind KServe's data plane: checks the rows, asks the estimator in a thread, says the answer in V1 or V2."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import kserve
import numpy as np

from serinus import artifact, models
from serinus.facts import Contract
from serinus.models.scoring import Answers, answer
from services.predictor.collecting import Collector
from services.predictor.columns import Refused
from services.predictor.inputs import Inputs, Protocol, Rows, read
from services.predictor.metrics import Counters, count_rows

log = logging.getLogger("serinus.predictor")


LARGE = 64 * 1024  # bytes; checking a body of this size takes about 2 ms, in which nothing else is answered


class ModelFailed(Exception):
    """The model raised, or answered what is no answer: our fault, not the caller's."""


@dataclass(frozen=True)
class Question:
    """A body as it came, JSON already parsed."""

    protocol: Protocol
    body: object
    size: int  # bytes
    copy: bool = False  # of a request that another version answers: nobody gets our answer, and nobody keeps it


@dataclass(frozen=True)
class Asked:
    """A question whose rows fit the contract."""

    protocol: Protocol
    id: str
    rows: Rows
    answers: Answers | None = None
    copy: bool = False  # as in Question


class Predictor(kserve.Model):  # type: ignore[misc]  # kserve has no types
    """One version of one model."""

    def __init__(
        self,
        loaded: artifact.Model,
        version: str,
        checks: Inputs,
        counters: Counters,
        threads: int,
        collector: Collector | None = None,
    ) -> None:
        super().__init__(loaded.contract.loop)
        self.loaded = loaded
        self.version = version
        self.checks = checks
        self.counters = counters
        self.collector = collector
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self.ready = True  # whoever makes us has tried the model
        self._seen: set[tuple[str, int]] = set()

    async def preprocess(self, payload: Question, _headers: object = None) -> Asked:
        """Check the rows, many of them in a thread. Raises Refused."""
        if payload.size < LARGE:
            return self._check(payload)
        return await asyncio.get_running_loop().run_in_executor(self.pool, self._check, payload)

    def _check(self, payload: Question) -> Asked:
        rows = read(self.checks, payload.protocol, payload.body)
        known = outputs(self.loaded.contract)
        for name in rows.outputs:
            if name not in known:
                raise Refused("outputs", f"outputs: expected names among {', '.join(known)}; got {name[:40]!r}")
        id = rows.id or identity(time.time_ns() // 1_000_000, os.urandom(10))
        return Asked(payload.protocol, id, rows, copy=payload.copy)

    async def predict(self, payload: Asked, _headers: object = None) -> Asked:
        """Ask the estimator in a thread, so that a slow one holds up neither health nor metrics nor other requests."""
        answers = await asyncio.get_running_loop().run_in_executor(self.pool, self._ask, payload)
        return replace(payload, answers=answers)

    def postprocess(self, result: Asked, _headers: object = None) -> Any:
        """Count the rows, hand them to the collector, say the answer: a dict for V1, an InferResponse for V2.

        The answer to a copy is nobody's prediction: under the request's own id it would be a second one beside the
        answer that the caller got.
        """
        assert result.answers is not None  # noqa: S101  # predict made it
        scores = result.answers.scores.tolist()
        count_rows(self.counters, result.rows, scores)
        if self.collector is not None and not result.copy:
            self.collector.offer(result.id, result.rows, scores, result.answers.labels)
        contract = self.loaded.contract
        if result.protocol == "v2":
            return self._tensors(result, result.answers)
        return {
            "predictions": predictions(contract, result.answers),
            "id": result.id,
            "model_name": self.name,
            "model_version": self.version,
        }

    def get_input_types(self) -> list[dict[str, object]]:
        """The tensors that V2 takes."""
        kinds = {"numeric": "FP64", "categorical": "BYTES"}
        return [{"name": f.name, "datatype": kinds[f.kind], "shape": [-1]} for f in self.loaded.contract.fields]

    def get_output_types(self) -> list[dict[str, object]]:
        """The tensors that V2 answers."""
        contract = self.loaded.contract
        shapes = {"probabilities": [-1, len(contract.classes)]}
        return [
            {"name": name, "datatype": datatype, "shape": shapes.get(name, [-1])}
            for name, datatype in outputs(contract).items()
        ]

    def _ask(self, asked: Asked) -> Answers:
        """Runs in the pool. A user's estimator may raise anything, SystemExit included; none of it may end us."""
        try:
            return ask(self.loaded, asked.rows.rows)
        except BaseException as error:
            self._tell(asked.id, error)
            raise ModelFailed(type(error).__name__) from error

    def _tell(self, id: str, error: BaseException) -> None:
        """Log the traceback the first time that this line fails, then one line: a sick model must not fill the disk."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ("", 0)
        first = place not in self._seen
        self._seen.add(place)
        log.error("model failed: id=%s %s: %.200s", id, type(error).__name__, error, exc_info=error if first else None)

    def _tensors(self, result: Asked, answers: Answers) -> Any:
        count = len(result.rows.rows)
        data: dict[str, tuple[list[int], Any]] = {"score": ([count], answers.scores)}
        if answers.labels is not None:
            data["label"] = ([count], answers.labels)
        else:
            data["value"] = data.pop("score")
        if answers.probabilities is not None:
            data["probabilities"] = (list(answers.probabilities.shape), answers.probabilities)
        wanted = result.rows.outputs or tuple(outputs(self.loaded.contract))
        return kserve.InferResponse(
            response_id=result.id,
            model_name=self.name,
            model_version=self.version,
            infer_outputs=[
                kserve.InferOutput(name, data[name][0], datatype, data[name][1])
                for name, datatype in outputs(self.loaded.contract).items()
                if name in wanted
            ],
        )


def identity(at: int, chance: bytes) -> str:
    """A UUID, version 7 (RFC 9562), from milliseconds since 1970 and ten random bytes; without hyphens. Those made one
    after the other are neighbours in the index of whoever keeps them: 500 of them change a few pages, not 500.
    """
    drawn = int.from_bytes(chance, "big")
    return f"{at << 80 | 7 << 76 | (drawn >> 68) << 64 | 2 << 62 | drawn & (1 << 62) - 1:032x}"


def ask(loaded: artifact.Model, rows: Sequence[Mapping[str, object]]) -> Answers:
    """The model's answers for rows that fit its contract. Raises ModelFailed when they are no answers."""
    answers = answer(loaded.contract, loaded.estimator, models.frame(loaded.contract, rows))
    if answers.scores.shape != (len(rows),):
        raise ModelFailed(f"expected {len(rows)} scores, got shape {answers.scores.shape}")
    if not np.isfinite(answers.scores).all():
        raise ModelFailed("expected finite scores, got NaN or infinity")
    return answers


def outputs(contract: Contract) -> dict[str, str]:
    """The tensors of a V2 answer and their datatypes."""
    if contract.task == "regression":
        return {"value": "FP64"}
    several = {"probabilities": "FP64"} if contract.task == "multiclass-classification" else {}
    return {"label": "BYTES", "score": "FP64", **several}


def predictions(contract: Contract, answers: Answers) -> list[dict[str, object]]:
    """The `predictions` of a V1 answer."""
    scores = answers.scores.tolist()
    if answers.labels is None:
        return [{"value": score} for score in scores]
    said: list[dict[str, object]] = [
        {"label": label, "score": score} for label, score in zip(answers.labels, scores, strict=True)
    ]
    if contract.task == "multiclass-classification" and answers.probabilities is not None:
        for row, probabilities in zip(said, answers.probabilities.tolist(), strict=True):
            row["probabilities"] = dict(zip(contract.classes, probabilities, strict=True))
    return said
