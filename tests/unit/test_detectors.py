"""The engines of the drift test, held to each other and to alibi-detect's detector on real rows."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from serinus.detectors import TABLE, Engine
from serinus.errors import Fatal

ENGINES = pytest.mark.parametrize("engine", [pytest.param(engine, id=name) for name, engine in TABLE.items()])
COUNTS = st.integers(0, 5000)


@st.composite
def samples(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """One to three features of up to eight bins, with rows in both samples."""
    reference, current = [], []
    for _ in range(draw(st.integers(1, 3))):
        bins = draw(st.integers(1, 8))
        histogram = st.lists(COUNTS, min_size=bins, max_size=bins).filter(any)
        reference.append(draw(histogram))
        current.append(draw(histogram))
    return reference, current


@settings(deadline=None)  # the first example imports alibi-detect
@given(samples())
def test_every_engine_gives_the_same_p_values(drawn: tuple[list[list[int]], list[list[int]]]) -> None:
    found = {engine(*drawn) for engine in TABLE.values()}
    assert len(found) == 1


def test_the_engines_agree_with_alibi_detects_own_detector_on_unrolled_rows() -> None:
    from alibi_detect.cd import ChiSquareDrift

    rng = np.random.default_rng(7)
    for _ in range(20):
        bins = int(rng.integers(2, 12))
        reference = rng.integers(0, bins, 4000)
        current = np.minimum(rng.integers(0, bins + 1, 700), bins - 1)
        expected, _ = ChiSquareDrift(reference[:, None], categories_per_feature={0: bins}).score(current[:, None])
        before, now = (np.bincount(rows, minlength=bins).tolist() for rows in (reference, current))
        for engine in TABLE.values():
            assert engine([before], [now]) == (float(expected[0]),)


@ENGINES
def test_the_p_value_is_pearsons(engine: Engine) -> None:
    # Worked by hand: expected counts are the column means, so that the statistic is 2 * (10^2/40 + 10^2/60 + 0) / 1.
    (found,) = engine([[50, 50, 100]], [[30, 70, 100]])
    assert found == pytest.approx(float(chi2.sf(2 * (100 / 40 + 100 / 60), 2)), rel=1e-6)


@ENGINES
def test_a_bin_that_is_empty_in_both_samples_changes_nothing(engine: Engine) -> None:
    with_bin = engine([[50, 0, 50, 100]], [[30, 0, 70, 100]])
    assert with_bin == engine([[50, 50, 100]], [[30, 70, 100]])


@ENGINES
def test_a_feature_with_one_used_bin_cannot_differ(engine: Engine) -> None:
    assert engine([[0, 10]], [[0, 700]]) == (1.0,)


@ENGINES
def test_a_bin_that_only_the_window_uses_is_found(engine: Engine) -> None:
    (found,) = engine([[1000, 1000, 0]], [[300, 300, 100]])
    assert found < 1e-20


@ENGINES
@pytest.mark.parametrize(
    ("reference", "current", "message"),
    [
        ([[0, 0]], [[1, 2]], "rows in both"),
        ([[1, 2]], [[0, 0]], "rows in both"),
        ([[1, 2]], [[3, -1]], "rows in both"),
        ([[1, 2]], [[1, 2, 3]], "same bins"),
    ],
)
def test_samples_that_cannot_be_compared_are_refused(
    engine: Engine, reference: list[list[int]], current: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        engine(reference, current)


@ENGINES
def test_no_features_give_no_p_values(engine: Engine) -> None:
    assert engine([], []) == ()


@ENGINES
def test_the_cost_does_not_grow_with_the_traffic(engine: Engine) -> None:
    small, large = [[120, 80, 300]] * 15, [[120 * 10**9, 80 * 10**9, 301 * 10**9]] * 15
    engine(small, small)  # imports
    began = time.perf_counter()
    engine(large, [histogram[::-1] for histogram in large])
    assert time.perf_counter() - began < 2  # unrolled into rows this would be terabytes


def test_an_installation_without_alibi_detect_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "alibi_detect"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "alibi_detect", None)
    with pytest.raises(Fatal, match=r"detector: scipy.*extra `alibi`.*EXTRAS='operator collector alibi'"):
        TABLE["alibi-detect"]([[1, 2]], [[3, 4]])
