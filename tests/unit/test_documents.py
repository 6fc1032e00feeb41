"""YAML, and what it lets pass that nobody means."""

from __future__ import annotations

import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from serinus import documents
from serinus.errors import SpecError

# PyYAML writes the text "1e3" bare, as it takes that for text itself; for us, and for YAML 1.2, it is a number.
text = st.text().filter(lambda t: not re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+", t))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def _problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        documents.parse(text, "loop.yaml")
    return caught.value.problems


@given(plain)
def test_what_another_program_writes_is_read_as_it_was(value: object) -> None:
    assert documents.parse(yaml.safe_dump(value), "loop.yaml") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2024-01-01", {"a": "2024-01-01"}),  # a date is text, as in JSON
        ("a: 2024-01-01T10:00:00Z", {"a": "2024-01-01T10:00:00Z"}),
        ("2024-01-01: 1", {"2024-01-01": 1}),
        ("a: [1e-3, 1E5, 2.e+3, -1e2, 1.5]", {"a": [0.001, 100000.0, 2000.0, -100.0, 1.5]}),
        ("a: [true, False, null, ~]", {"a": [True, False, None, None]}),
        ("a: 'yes'", {"a": "yes"}),
        ("a: '1:30'", {"a": "1:30"}),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}\nz: {<<: *x, a: 3}", {"x": {"a": 1}, "y": {"a": 1, "b": 2}, "z": {"a": 3}}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("---\n", None),
        ("3", 3),
        ("a: 0x1F", {"a": 31}),
    ],
)
def test_plain_yaml_is_read_as_everybody_means_it(text: str, value: object) -> None:
    assert documents.parse(text, "loop.yaml") == value


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3", ["a: expected once, got 2 times (lines 1, 3); keep one"]),
        ("s:\n  d: {k: 1, k: 2}", ["s.d.k: expected once, got 2 times (lines 2, 2); keep one"]),
        ("s: [{k: 1, k: 2}]", ["s.0.k: expected once, got 2 times (lines 1, 1); keep one"]),
        ("s: {7: 1}", ["s.7: expected text as a key, got 7; put it in quotes (line 1)"]),
        ("s:\n  on: 1", ["s.on: expected text as a key, got on; put it in quotes (line 2)"]),
        ("null: 1", ["null: expected text as a key, got null; put it in quotes (line 1)"]),
        ("s:\n  ? [a]\n  : 1", ["s.?: expected text as a key, got a list or mapping (line 2)"]),
        ("p: yes", ["p: expected true, or 'yes' in quotes when the text is meant, got yes"]),
        ("p: [a, Off]", ["p.1: expected false, or 'Off' in quotes when the text is meant, got Off"]),
        ("t: 1:30", ["t: expected a number or a text in quotes, got 1:30, which YAML reads in base 60"]),
        ("t: 1:30.5", ["t: expected a number or a text in quotes, got 1:30.5, which YAML reads in base 60"]),
        ("m: .nan", ["m: expected a finite number, got .nan"]),
        ("m: -.INF", ["m: expected a finite number, got -.INF"]),
        ("m: 1e999", ["m: expected a finite number, got 1e999"]),
        ("m: !!binary aGk=", ["m: expected plain YAML, got the tag binary; take it out"]),
        ("m: !mine {a: 1}", ["m: expected plain YAML, got the tag !mine; take it out"]),
        ("!mine {a: 1}", ["loop.yaml: expected plain YAML, got the tag !mine; take it out"]),
        ("yes", ["loop.yaml: expected true, or 'yes' in quotes when the text is meant, got yes"]),
        ("a: !!python/object/apply:os.getpid []",
         ["a: expected plain YAML, got the tag python/object/apply:os.getpid; take it out"]),
        ("a: !!float x", ["loop.yaml: expected YAML; could not convert string to float: 'x'"]),
        ("", ["loop.yaml: expected a ModelLoop, got an empty file"]),
        ("# nothing\n", ["loop.yaml: expected a ModelLoop, got an empty file"]),
        ("a: 1\n---\na: 2",
         ["loop.yaml: expected one ModelLoop, got several documents; give each loop a file of its own"]),
        ("a:\n\t- b", [r"loop.yaml, line 2, column 1: expected YAML; found character '\t' that cannot start any token;"
                       " YAML is indented with spaces, not tabs"]),
        ("a: [1", ["loop.yaml, line 1, column 6: expected YAML; expected ',' or ']', but got '<stream end>'"]),
        ("a: *b", ["loop.yaml, line 1, column 4: expected YAML; found undefined alias 'b'"]),
        ("\0", ["loop.yaml: expected YAML; unacceptable character #x0000: special characters are not allowed in "
                '"<unicode string>", position 0']),
        ("[" * 2000, ["loop.yaml: expected a ModelLoop, got lists or mappings hundreds of levels deep"]),
        ("#" * 200_001, ["loop.yaml: expected at most 200,000 characters, got more"]),
    ],
)  # fmt: skip
def test_what_nobody_means_is_a_sentence(text: str, problems: list[str]) -> None:
    assert _problems(text) == problems


def test_every_mistake_is_told_in_the_order_of_the_file() -> None:
    found = _problems("a: yes\nb: {c: .inf, d: 1, d: 2}\ne: no")
    assert [problem.split(":")[0] for problem in found] == ["a", "b.d", "b.c", "e"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{y}: &{y} [{','.join([f'*{x}'] * 9)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a {x: 1}\n"
        + "".join(
            f"{y}: &{y} {{<<: [{','.join([f'*{x}'] * 9)}]}}\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ],
)
def test_a_file_that_grows_by_its_aliases_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    assert _problems(text) == ["loop.yaml: expected at most 20,000 values, got more when its aliases are followed"]
    assert time.process_time() - began < 5
