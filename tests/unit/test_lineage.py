"""What became of a version by the trail, and how one that was made again differs from the first."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from serinus import artifact, wire
from serinus.decide.lineage import differing, lineage, served, unlike
from serinus.facts import Code, Contract, Deed, Papers, Served, Version
from tests.made_up_models import NOW, model_dir, record


def did(minute: int, kind: str, version: int | None = None, weight: float | None = None, by: str = "serinus") -> Deed:
    at = NOW + timedelta(minutes=minute)
    figures = {"weight": weight} if weight is not None else {}
    return Deed(f"{kind}-{minute}", "flights", at, kind, by, f"{kind} {version}", version, figures)


def stretch(start: int, end: int | None, share: float) -> Served:
    return Served(NOW + timedelta(minutes=start), NOW + timedelta(minutes=end) if end is not None else None, share)


LIFE = [
    did(0, "RunRequested"),
    did(1, "Promoted", 1),
    did(10, "RolloutStarted", 2, 5),
    did(12, "StepPassed", 2, 25),
    did(15, "RolledBack", 2),
    did(20, "RolloutStarted", 3, 5),
    did(25, "Promoted", 3),
    did(26, "DriftFound", 3),
    did(30, "BroughtBack", 1),
]


def test_a_champion_serves_all_whom_canaries_do_not() -> None:
    assert served(LIFE, 1) == (
        stretch(1, 10, 100), stretch(10, 12, 95), stretch(12, 15, 75), stretch(15, 20, 100), stretch(20, 25, 95),
        stretch(30, None, 100),
    )  # fmt: skip


def test_a_canary_serves_its_share_until_it_is_thrown_back() -> None:
    assert served(LIFE, 2) == (stretch(10, 12, 5), stretch(12, 15, 25))


def test_one_that_was_promoted_serves_until_another_is_brought_back() -> None:
    assert served(LIFE, 3) == (stretch(20, 25, 5), stretch(25, 30, 100))


def test_the_one_before_keeps_its_share_while_the_new_one_is_watched() -> None:
    held = [
        did(25, "Promoted", 3), did(25, "ShareChanged", 3, 90), did(27, "ShareChanged", 3, 50),
        did(29, "WatchEnded", 3),
    ]  # fmt: skip
    assert served([*LIFE[:6], *held], 3) == (
        stretch(20, 25, 5), stretch(25, 27, 90), stretch(27, 29, 50), stretch(29, None, 100),
    )  # fmt: skip
    assert served([*LIFE[:6], *held], 1)[-2:] == (stretch(25, 27, 10), stretch(27, 29, 50))
    back = [*LIFE[:6], *held[:3], did(28, "BroughtBack", 1)]
    assert served(back, 3)[-1] == stretch(27, 28, 50)
    assert served(back, 1)[-1] == stretch(28, None, 100)


def test_one_that_never_served_has_no_stretch() -> None:
    assert served(LIFE, 4) == ()
    assert served([], 1) == ()
    assert served([did(0, "RolledBack", 4), did(1, "RolloutStarted", None, 5)], 4) == ()


def test_a_trail_that_begins_in_mid_life_says_what_it_can() -> None:
    assert served(LIFE[4:], 1) == (stretch(30, None, 100),)
    assert served(LIFE[3:], 2) == (stretch(12, 15, 25),)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    model = model_dir(tmp_path_factory.mktemp("lineage") / "model")
    contract = wire.load(Contract, (model / artifact.CONTRACT).read_bytes())
    return Papers(Version("flights", 2, "flights-manual-1", NOW), contract)


def asked(by: str, run: str = "flights-manual-1") -> Deed:
    return replace(did(0, "RunRequested", by=by), message=f"{run}: because")


def test_who_asked_for_the_run_and_who_let_the_version_in_is_in_the_trail(papers: Papers) -> None:
    deeds = [did(9, "Approved", 2, by="bob"), asked("eve", "flights-manual-12"), asked("ann"), *LIFE]
    found = lineage(papers, deeds, "the trail")
    assert (found.asked_by, found.approved_by, found.source) == ("ann", "bob", "the trail")
    assert found.served == served(LIFE, 2)
    assert found.papers == papers


def test_what_the_loop_did_by_itself_nobody_asked_for(papers: Papers) -> None:
    found = lineage(papers, [asked("serinus"), did(9, "Approved", 3, by="bob")], "")
    assert (found.asked_by, found.approved_by) == ("", "")
    assert lineage(papers, [], "").asked_by == ""


def test_what_is_kept_with_the_version_says_who_let_it_in_when_the_trail_does_not(papers: Papers) -> None:
    assert lineage(replace(papers, rollouts=(record(2),)), [], "").approved_by == "ann"


# --- made again ------------------------------------------------------------------------------------------------------


def test_the_same_files_do_not_differ() -> None:
    assert differing({"a.json": b"{}", "m": b"1"}, {"m": b"1", "a.json": b"{}"}) == ()


def test_files_that_lack_or_are_too_many_are_named() -> None:
    assert differing({"a": b"1"}, {"b": b"1"}) == ("a was not made again", "b was not there the first time")


def test_a_file_that_differs_is_named_and_in_json_the_place_too() -> None:
    then = json.dumps({"profile": {"rows": 5, "edges": [1, 2]}, "params": {"C": 1.0}}).encode()
    now = json.dumps({"profile": {"rows": 6, "edges": [1, 3]}, "seed": 0}).encode()
    assert differing({"contract.json": then, "model.skops": b"1"}, {"contract.json": now, "model.skops": b"2"}) == (
        'contract.json differs: params was {"C": 1.0}, is null; profile.edges[1] was 2, is 3;'
        " profile.rows was 5, is 6; seed was null, is 0",
        "model.skops differs",
    )


def test_only_some_of_many_places_are_told() -> None:
    then, now = json.dumps([0] * 9).encode(), json.dumps([1] * 9).encode()
    (said,) = differing({"a.json": then}, {"a.json": now})
    assert said.endswith("[4] was 0, is 1 and 4 more places")
    (said,) = differing({"a.json": json.dumps(["x" * 100]).encode()}, {"a.json": b"[]"})
    assert said == f'a.json differs: all of it was ["{"x" * 22}…, is []'


def test_what_runs_here_is_compared_with_what_ran_then_as_far_as_both_are_known() -> None:
    then = Code("0.1.0", "abc", "s" * 64, "", "l" * 64, "image:1", "3.11.2", {"numpy": "1.26.4", "scipy": "1.0"})
    assert unlike(then, then) == ()
    assert unlike(then, Code()) == ()
    old, new = (Code(kernels={"openblas 0.3.30": kernel}, forced={kernel: kernel}) for kernel in ("Zen", "Haswell"))
    assert unlike(old, new) == ("kernels of openblas 0.3.30: Zen then, Haswell here",)
    now = Code("0.2.0", "abc", "t" * 64, "o", "l" * 64, "", "3.12.0", {"numpy": "2.0", "skops": "0.1"})
    assert unlike(then, now) == (
        "release of Serinus: 0.1.0 then, 0.2.0 here",
        f"the code's digest: {'s' * 24}… then, {'t' * 24}… here",
        "Python: 3.11.2 then, 3.12.0 here",
        "numpy: 1.26.4 then, 2.0 here",
    )
