"""What is counted: the rules, the cases, and the figures of a rule in a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.judges.argo import Argo
from benchmarks.judges.flagger import Flagger
from benchmarks.judges.kayenta import Kayenta
from benchmarks.judges.sagemaker import SageMaker
from serinus.spec import RolloutSpec
from tests.simulation.worlds import catalogue
from tests.simulation.worlds.catalogue import Case
from tests.simulation.worlds.play import Ending, Pilot, Serinus, model_loop, play, spread
from tests.simulation.worlds.tell import upper

HORIZON = 4 * 3600  # seconds at least; the longest documented analysis takes three hours
OURS, ADAPTIVE = "Serinus", "Serinus, adaptive"

RULES: dict[str, Callable[[Case, int], Pilot]] = {
    OURS: lambda case, _: Serinus(model_loop(case.spec), case.scenario.scraping.every),
    ADAPTIVE: lambda case, _: Serinus(model_loop(_adaptive(case.spec)), case.scenario.scraping.every),
    "Flagger": lambda _, __: Flagger(),
    "Argo Rollouts": lambda _, __: Argo(),
    "Kayenta": lambda _, seed: Kayenta(seed=seed),
    "SageMaker": lambda _, __: SageMaker(),
}


def _adaptive(spec: RolloutSpec) -> RolloutSpec:
    return spec.model_copy(update={"pace": "adaptive", "steps": (1, 50)})


_NAMES = (
    "constant, 5/s",
    "constant, 50/s",
    "constant, 500/s",
    "bursty, x 10",
    "wandering errors",
    "outages in both arms",
    "clusters, one arm each",
    "clusters, frequent",
    "clusters over 10 s each",
    "heavy tails, slow spells",
    "warm-up, x 5 for 5 s",
    "warm-up, x 5 for 20 s, said so",
    "everything at once",
)
CASES: tuple[Case, ...] = (*catalogue.IDENTICAL, *catalogue.HARMS, *catalogue.SOONER)
COMPARED = frozenset((*_NAMES, *(case.name for case in catalogue.HARMS)))
"""The cases that all rules are counted in; in the others only ours is."""


@dataclass(frozen=True)
class Cell:
    """A rule in a case. Times in seconds, of the rollouts that ended so; None where there was none."""

    case: str
    rule: str
    harmed: bool
    seeds: int
    rolled_back: float  # share; the false rollbacks where the canary is as good as stable
    rolled_back_at_most: float  # 95 % Clopper-Pearson upper bound
    timed_out: float  # share that neither convinced nor was found to be worse
    promoted: float  # share; the missed harms where it is worse
    promoted_at_most: float
    median: float | None  # time to roll back where it is worse, to promote where it is not
    late: float | None  # and within which 95 % of these were
    hurt: float  # answers that stable would have given better, mean of all rollouts until their end
    cpu: float  # seconds of processor a rollout


def rules(case: Case) -> tuple[str, ...]:
    """The rules that are counted in a case."""
    return tuple(RULES) if case.name in COMPARED else (OURS,)


def endings(rule: str, case: Case, seeds: range, processes: int = 1) -> list[Ending]:
    """The rollouts of `seeds`."""
    return spread(_Play(rule, case), seeds, processes)


@dataclass(frozen=True)
class _Play:
    """One rollout by seed; by names, so that it can be sent to another process."""

    rule: str
    case: Case

    def __call__(self, seed: int) -> Ending:
        horizon = max(HORIZON, self.case.horizon)
        return play(self.case.scenario, RULES[self.rule](self.case, seed), seed, horizon=horizon)


def cell(rule: str, case: Case, found: Sequence[Ending], cpu: float) -> Cell:
    """The figures of a rule in a case."""
    n, harmed = len(found), case.scenario.harmed
    rolled = sum(e.cause == "harm" for e in found)
    promoted = sum(e.action == "promote" for e in found)
    times = [e.seconds for e in found if (e.cause == "harm" if harmed else e.action == "promote")]
    return Cell(
        case=case.name,
        rule=rule,
        harmed=harmed,
        seeds=n,
        rolled_back=rolled / n,
        rolled_back_at_most=upper(rolled, n),
        timed_out=(n - rolled - promoted) / n,
        promoted=promoted / n,
        promoted_at_most=upper(promoted, n),
        median=float(np.median(times)) if times else None,
        late=float(np.quantile(times, 0.95)) if times else None,
        hurt=float(np.mean([e.hurt for e in found])),
        cpu=round(cpu, 4),
    )


def plain(found: Cell) -> dict[str, Any]:
    """A cell as JSON holds it."""
    return asdict(found)


HEAD = f"{'':44}{'rolled back':>12}{'<= 95 %':>9}{'timeout':>9}{'promoted':>10}{'median':>10}{'95 %':>10}{'hurt':>10}"


def line(found: Cell) -> str:
    """One row under HEAD."""
    shares = (
        f"{found.rolled_back:>12.1%}{found.rolled_back_at_most:>9.1%}{found.timed_out:>9.1%}{found.promoted:>10.1%}"
    )
    return f"  {found.rule:42}{shares}{_time(found.median):>10}{_time(found.late):>10}{found.hurt:>10.1f}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:,.0f} s"
