"""What every Recorder promises of labels; a part of the suite in records_suite.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serinus.facts import Label, Prediction, Record, RowsQuestion, Taken
from tests.contract.records_cases import ALWAYS, Both, Open, label, later, prediction, said, truths

FAR = 600  # bytes, more than any name may have


class LabelPromises:
    """Each label has an outcome, and none is lost."""

    def test_a_label_by_id_is_joined_with_its_prediction(self, records: Both) -> None:
        records.add("a", [prediction("p"), prediction("q")])
        assert records.label("a", [label("no", id="p")]) == Taken({"joined": 1})
        assert records.find("a", ["p", "q"]) == (Record(prediction("p"), "no", later(10)), Record(prediction("q")))

    def test_a_label_by_key_is_the_truth_of_every_prediction_with_the_key(self, records: Both) -> None:
        records.add("a", [prediction("p", key="k"), prediction("q", key="k"), prediction("r", key="other")])
        assert records.label("a", [label("no", key="k")]) == Taken({"joined": 1})
        records.add("a", [prediction("late", key="k")])
        assert truths(records, "p", "q", "late", "r") == ["no", "no", "no", None]

    def test_an_early_label_waits_for_its_prediction(self, records: Both) -> None:
        assert records.label("a", [label("no", id="p"), label("yes", key="k")]) == Taken({"waiting": 2})
        assert records.rows("a", RowsQuestion(ALWAYS)) == ()
        records.add("a", [prediction("p"), prediction("q", key="k")])
        assert truths(records, "p", "q") == ["no", "yes"]
        assert records.label("a", [label("no", id="p")]) == Taken({"same": 1})

    def test_what_is_held_already_is_the_same_whether_joined_or_waiting(self, records: Both) -> None:
        records.add("a", [prediction()])
        for outcomes in ({"joined": 1, "waiting": 1}, {"same": 2}):
            assert records.label("a", [label(id="p"), label(id="early")]) == Taken(outcomes)

    @pytest.mark.parametrize("minutes", [10, 11])
    def test_another_truth_known_later_or_at_the_same_time_counts_from_now_on(
        self, records: Both, minutes: float
    ) -> None:
        records.add("a", [prediction()])
        records.label("a", [label("yes", 10, id="p")])
        assert records.label("a", [label("no", minutes, id="p")]) == Taken({"changed": 1})
        assert records.find("a", ["p"]) == (Record(prediction(), "no", later(minutes)),)

    def test_another_truth_known_earlier_does_not_count(self, records: Both) -> None:
        records.add("a", [prediction()])
        records.label("a", [label("yes", 10, id="p")])
        assert records.label("a", [label("no", 9, id="p")]) == Taken({"older": 1})
        assert records.find("a", ["p"]) == (Record(prediction(), "yes", later(10)),)

    def test_a_truth_that_was_confirmed_is_not_changed_by_what_was_known_before(self, records: Both) -> None:
        records.add("a", [prediction()])
        answers = [records.label("a", [label(t, at, id="p")]) for t, at in (("yes", 1), ("yes", 3), ("no", 2))]
        assert [list(answer.outcomes) for answer in answers] == [["joined"], ["same"], ["older"]]
        assert truths(records, "p") == ["yes"]

    def test_several_truths_of_one_batch_are_taken_in_their_order(self, records: Both) -> None:
        records.add("a", [prediction()])
        batch = [label(t, at, id="p") for t, at in (("yes", 10), ("yes", 10), ("no", 12), ("yes", 11), ("no", 12))]
        assert records.label("a", batch) == Taken({"joined": 1, "same": 2, "changed": 1, "older": 1})
        assert records.find("a", ["p"])[0].truth == "no"

    def test_a_label_for_another_loops_prediction_is_foreign_and_not_kept(self, records: Both, open: Open) -> None:
        records.add("b", [prediction()])
        answer = records.label("a", [label(id="p"), label(id="unknown")])
        assert said(answer) == ({"foreign": 1, "waiting": 1}, 1)
        assert "another loop" in answer.problems[0]
        assert open(f"ns-{uuid4().hex}").label("a", [label(id="p")]) == Taken({"waiting": 1}), "a namespace is a world"
        records.add("a", [prediction()])
        assert truths(records, "p") == truths(records, "p", loop="b") == [None]
        assert records.label("a", [label(id="p")]) == Taken({"joined": 1}), "an id may be in two loops"

    @pytest.mark.parametrize(
        "bad",
        [
            label(),
            label(id="p", key="k"),
            label("", id="p"),
            label("t" * FAR, id="p"),
            label(id="p\0"),
            label("zero\0byte", id="p"),
            label(id="p" * FAR),
            Label("yes", datetime.now(UTC) + timedelta(hours=1), id="p"),
        ],
        ids=lambda bad: f"{bad.truth[:4]}-{bad.id[:3]}-{bad.key}-{bad.at:%Y}",
    )
    def test_an_invalid_label_is_said_and_the_others_are_kept(self, records: Both, bad: Label) -> None:
        records.add("a", [prediction("p"), prediction("q")])
        answer = records.label("a", [label(id="q"), bad, label(id="r")])
        assert said(answer) == ({"joined": 1, "waiting": 1, "invalid": 1}, 1)
        assert "expected" in answer.problems[0]
        assert truths(records, "p", "q") == [None, "yes"]

    @pytest.mark.parametrize("first", ["id", "key"])
    def test_a_label_by_id_beats_one_by_key_whenever_it_came(self, records: Both, first: str) -> None:
        records.add("a", [prediction("p", key="k"), prediction("q", key="k")])
        batch = [label("by id", 1, id="p"), label("by key", 2, key="k")]
        for each in batch if first == "id" else batch[::-1]:
            assert records.label("a", [each]) == Taken({"joined": 1})
        assert truths(records, "p", "q") == ["by id", "by key"]
        assert records.find("a", ["p"])[0].labelled == later(1)

    def test_a_number_is_the_class_that_is_written_so(self, records: Both) -> None:
        records.add("a", [prediction("p", answer="1"), prediction("q", answer="0.5")])
        records.label("a", [label(1.0, id="p"), label(0.5, id="q")])
        assert truths(records, "p", "q") == ["1", "0.5"]

    def test_the_truth_of_a_regression_is_a_number_however_it_was_written(self, records: Both) -> None:
        records.add("a", [prediction(name, answer="", score=2.0) for name in ("p", "q", "r")])
        assert records.label("a", [label("2.50", id="p"), label(-3, id="q")]) == Taken({"joined": 2})
        assert said(records.label("a", [label("late", id="r"), label("nan", id="r")])) == ({"invalid": 2}, 2)
        assert truths(records, "p", "q", "r") == [2.5, -3.0, None]

    def test_a_word_that_waited_for_a_regression_is_no_truth_until_a_number_comes(self, records: Both) -> None:
        assert records.label("a", [label("late", id="p")]) == Taken({"waiting": 1})
        records.add("a", [prediction(answer="")])
        assert records.rows("a", RowsQuestion(ALWAYS, labelled=True)) == ()
        assert records.find("a", ["p"]) == (Record(prediction(answer="")),)
        assert records.label("a", [label(4.0, 11, id="p")]) == Taken({"changed": 1})
        assert truths(records, "p") == [4.0]

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(data=st.data())
    def test_no_order_of_arrival_changes_what_is_known(self, open: Open, data: st.DataObject) -> None:
        records, one_go = (open(f"ns-{uuid4().hex}") for _ in range(2))
        names = st.sampled_from(["0", "1", "2"])
        labels: list[Label] = [
            label(data.draw(st.sampled_from(["yes", "no"])), at, **{data.draw(st.sampled_from(["id", "key"])): name})
            for at, name in enumerate(data.draw(st.lists(names, max_size=8)))
        ]
        predictions = [prediction(str(n), key=data.draw(names)) for n in range(3)]
        items: list[Label | Prediction] = [*labels, *predictions, *labels[:2]]
        for each in data.draw(st.permutations(items)):
            taken = records.add("a", [each]) if isinstance(each, Prediction) else records.label("a", [each])
            assert sum(taken.outcomes.values()) == 1
        one_go.add("a", predictions)
        one_go.label("a", labels)
        ids = [each.id for each in predictions]
        assert records.find("a", ids) == one_go.find("a", ids)
