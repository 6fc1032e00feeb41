"""What every Recorder with its Records promises, over whatever backend the fixtures of a subclass give.

`open` makes both ports, as one object, for a namespace that nobody used before; `away` cannot be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, timezone
from uuid import uuid4

import pytest

from serinus.errors import Unavailable
from serinus.facts import Prediction, Record, RowsQuestion, Taken, TallyQuestion, Value
from tests.contract.records_cases import ALWAYS, NOW, Both, Open, label, later, prediction, said, truths
from tests.contract.records_labels_suite import FAR, LabelPromises
from tests.contract.records_tally_suite import TallyPromises


class RecordsPromises(LabelPromises, TallyPromises):
    """What is kept, found and forgotten; the others are in files of their own."""

    @pytest.fixture
    def records(self, open: Open) -> Both:
        return open(f"ns-{uuid4().hex}")

    # --- predictions ---------------------------------------------------------------------------------------------

    def test_a_prediction_comes_back_as_it_was_given(self, records: Both) -> None:
        summer = timezone(timedelta(hours=2))
        features: dict[str, Value] = {
            "n": -1.5,
            "big": 1e300,
            "text": "Zürich ☃ \"'\\%$",
            "none": None,
            "": "empty",
            'q"\\': "odd",
        }
        full = Prediction("p/0", 7, NOW.astimezone(summer), features, 0.1 + 0.2, "☃ 'yes'", "order-7")
        assert records.add("a", [full, prediction("regression", 1, "", -1e9)]) == Taken({"new": 2})
        assert records.find("a", ["p/0"]) == (Record(full),)
        assert records.find("a", ["regression"]) == (Record(prediction("regression", 1, "", -1e9)),)

    def test_an_id_that_is_held_stays_as_it_is(self, records: Both) -> None:
        assert records.add("a", [prediction(score=0.1), prediction(score=0.2)]) == Taken({"new": 1, "doubled": 1})
        assert records.add("a", [prediction(score=0.3), prediction("q")]) == Taken({"doubled": 1, "new": 1})
        assert records.find("a", ["p"]) == (Record(prediction(score=0.1)),)

    def test_nothing_taken_is_no_outcome(self, records: Both) -> None:
        assert records.add("a", []) == Taken()
        assert records.label("a", []) == Taken()
        assert records.erase("a") == 0

    @pytest.mark.parametrize(
        "bad",
        [
            prediction(""),
            prediction("zero\0byte"),
            prediction("p" * FAR),
            prediction(key="k" * FAR),
            prediction(answer="a" * FAR),
            prediction(score=1.01),
            prediction(score=-0.01),
            prediction(version=-1),
            prediction(features={"text": "zero\0byte"}),
            prediction(answer="", score=1e71),
        ],
        ids=lambda bad: f"{bad.id[:5]}-{bad.score}-{bad.version}-{len(bad.key)}-{len(bad.answer)}",
    )
    def test_an_invalid_prediction_is_said_and_the_others_are_kept(self, records: Both, bad: Prediction) -> None:
        answer = records.add("a", [prediction("first"), bad, prediction("last")])
        assert said(answer) == ({"new": 2, "invalid": 1}, 1)
        assert "expected" in answer.problems[0]
        assert len(records.rows("a", RowsQuestion(ALWAYS))) == 2

    def test_loops_and_namespaces_do_not_see_each_other(self, records: Both, open: Open) -> None:
        other = open(f"ns-{uuid4().hex}")
        for each, loop in ((records, "a"), (records, "b"), (other, "a")):
            assert each.add(loop, [prediction(key="k")]) == Taken({"new": 1})
        records.label("a", [label(key="k")])
        assert records.find("a", ["p"])[0].truth == "yes"
        assert records.find("b", ["p"], ["k"]) == other.find("a", ["p"], ["k"]) == (Record(prediction(key="k")),)
        assert records.erase("a", keys=["k"]) == 1
        assert len(records.find("b", ["p"])) == len(other.find("a", ["p"])) == 1

    # --- forgetting ----------------------------------------------------------------------------------------------

    def test_what_is_erased_by_id_is_gone_and_does_not_come_back(self, records: Both) -> None:
        records.add("a", [prediction("p"), prediction("q")])
        records.label("a", [label(id="p"), label(id="q")])
        assert records.erase("a", ["p", "never seen"]) == 1
        assert [record.prediction.id for record in records.rows("a", RowsQuestion(ALWAYS))] == ["q"]
        for again in (records.add("a", [prediction("p")]), records.label("a", [label(id="p")])):
            assert said(again) == ({"erased": 1}, 1)
        assert said(records.add("a", [prediction("never seen")])) == ({"erased": 1}, 1)
        assert records.find("a", ["p", "never seen"]) == ()
        assert truths(records, "q") == ["yes"]
        assert records.erase("a", ["p"]) == 0

    def test_what_is_erased_by_key_is_every_prediction_with_it_now_and_later(self, records: Both) -> None:
        records.add("a", [prediction("p", key="k"), prediction("q", key="k"), prediction("r", key="other")])
        records.label("a", [label(key="k"), label(id="p"), label(key="other")])
        assert records.erase("a", keys=["k"]) == 2
        assert records.find("a", ["p", "q"], ["k"]) == ()
        assert said(records.label("a", [label(key="k"), label(id="p"), label(id="q")])) == ({"erased": 3}, 3)
        assert said(records.add("a", [prediction("new", key="k"), prediction("p", key="")])) == ({"erased": 2}, 2)
        assert truths(records, "r") == ["yes"]

    def test_a_keys_label_goes_with_its_last_prediction(self, records: Both) -> None:
        records.add("a", [prediction("p", key="k"), prediction("q", key="k")])
        records.label("a", [label("no", key="k")])
        records.erase("a", ["p"])
        assert truths(records, "q") == ["no"]
        records.erase("a", ["q"])
        records.add("a", [prediction("new", key="k")])
        assert truths(records, "new") == [None]
        assert records.label("a", [label("no", key="k")]) == Taken({"joined": 1}), "the key itself was not erased"

    def test_a_requests_id_stands_for_all_of_its_rows_now_and_later(self, records: Both) -> None:
        strange = ["r0", "r/x", "r/", "r/1/0", "R/0", "rr/0", "other"]
        for loop in ("a", "b"):
            records.add(loop, [prediction(name, n) for n, name in enumerate(["r/0", "r/1", "r/10", *strange])])
        records.label("a", [label(id="r/1"), label(id="r/7"), label(id="rr/0")])
        assert [each.prediction.id for each in records.find("a", ["r", "r/10"])] == ["r/0", "r/1", "r/10"]
        assert records.erase("a", ["r"]) == 3
        assert [each.prediction.id for each in records.rows("a", RowsQuestion(ALWAYS))] == strange
        late = [prediction(name) for name in ("r/1", "r/17", "r", "r/x", "r/1/1")]
        assert said(records.add("a", late)) == ({"erased": 3, "doubled": 1, "new": 1}, 3)
        labels = [label(id=name) for name in ("r/7", "r/17", "r", "rr/0", "r/8/1")]
        assert said(records.label("a", labels)) == ({"erased": 3, "same": 1, "waiting": 1}, 3)
        assert len(records.find("b", ["r"])) == 3, "another loop keeps its own"

    def test_one_row_of_a_request_goes_alone(self, records: Both) -> None:
        records.add("a", [prediction("r/0"), prediction("r/1", key="k")])
        assert records.erase("a", ["r/0"], ["k"]) == 2
        again = [prediction("r/0"), prediction("r/1"), prediction("r/2")]
        assert said(records.add("a", again)) == ({"erased": 2, "new": 1}, 2)

    def test_retention_forgets_what_was_answered_and_known_before(self, records: Both) -> None:
        records.add("a", [prediction("old", 0), prediction("kept", 5), prediction("new", 6)])
        records.label("a", [label(minutes=4, id="early"), label(minutes=5, id="new"), label(minutes=7, id="old")])
        assert records.expire("a", later(5)) == 2
        assert [record.prediction.id for record in records.rows("a", RowsQuestion(ALWAYS))] == ["kept", "new"]
        assert truths(records, "kept", "new") == [None, "yes"]
        assert records.expire("a", later(5)) == 0
        assert records.expire("b", later(500)) == 0
        assert records.add("a", [prediction("early", 6)]) == Taken({"new": 1})
        assert truths(records, "early") == [None]

    # --- reading -------------------------------------------------------------------------------------------------

    def test_records_are_found_by_ids_and_keys_oldest_first_and_each_once(self, records: Both) -> None:
        records.add("a", [prediction("p", 3, key="k"), prediction("q", 1, key="k"), prediction("r", 2)])
        found = records.find("a", ["r", "p", "unknown"], ["k", "unknown"])
        assert [record.prediction.id for record in found] == ["q", "r", "p"]
        assert records.find("a") == records.find("a", ["unknown"]) == records.find("b", ["p"]) == ()

    def test_rows_are_those_of_the_window_the_version_and_the_labelled(self, records: Both) -> None:
        records.add("a", [prediction(str(n), n, version=1 + n % 2) for n in range(6)])
        records.label("a", [label(id="2"), label(id="3")])

        def ids(start: float, end: float, **narrow: int | bool) -> list[str]:
            question = RowsQuestion(type(ALWAYS)(later(start), later(end)), **narrow)  # type: ignore[arg-type]
            return [record.prediction.id for record in records.rows("a", question)]

        assert ids(1, 4) == ["1", "2", "3"]
        assert ids(0, 6, version=2) == ["1", "3", "5"]
        assert ids(0, 6, labelled=True) == ["2", "3"]
        assert ids(0, 6, labelled=True, version=1) == ["2"]
        assert ids(6, 9) == ids(0, 6, limit=0) == []

    def test_of_more_rows_than_asked_for_a_fair_sample_comes_the_same_for_the_same_seed(self, records: Both) -> None:
        records.add("a", [prediction(f"{n:03}", n) for n in range(400)])

        def sample(seed: int, limit: int = 100) -> list[int]:
            rows = records.rows("a", RowsQuestion(ALWAYS, limit=limit, seed=seed))
            return [int(record.prediction.id) for record in rows]

        assert sample(1) == sample(1) == sorted(sample(1))
        assert set(sample(1, 50)) < set(sample(1)), "a smaller one is a part of it"
        assert sample(1) != sample(2)
        assert len(set(sample(1))) == 100
        # A hundred numbers drawn fairly out of 400 have a mean of 200 ± 10; five times that is one in a million.
        assert all(abs(sum(sample(seed)) / 100 - 199.5) < 50 for seed in range(3))

    @pytest.mark.parametrize(
        "ask",
        [
            lambda away: away.add("a", [prediction()]),
            lambda away: away.label("a", [label(id="p")]),
            lambda away: away.erase("a", ["p"]),
            lambda away: away.expire("a", NOW),
            lambda away: away.tally("a", TallyQuestion(NOW, later(1), 60)),
            lambda away: away.rows("a", RowsQuestion(ALWAYS)),
            lambda away: away.find("a", ["p"]),
        ],
        ids=["add", "label", "erase", "expire", "tally", "rows", "find"],
    )
    def test_what_cannot_be_asked_says_so(self, away: Both, ask: Callable[[Both], object]) -> None:
        with pytest.raises(Unavailable) as caught:
            ask(away)
        assert "secret" not in str(caught.value)
