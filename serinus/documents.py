"""From YAML text to plain values (text, numbers, true/false, null, lists, mappings), read as a Kubernetes API reads it.

What YAML lets pass and nobody means is a mistake here: a key given twice, a key that is no text, `yes` for true, a
number in base 60, a file that grows when its aliases are followed. What a value must be is not decided here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import yaml
from yaml.nodes import Node, ScalarNode, SequenceNode

from serinus.errors import SpecError

_MAX_CHARACTERS = 200_000
_MAX_VALUES = 20_000  # aliases followed
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_PLAIN = {_TAG + name for name in ("str", "int", "float", "bool", "null", "seq", "map")}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with two corrections: a date is text, as in JSON, and 1e-3 is a number, as everybody means it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _TAG + "float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse(text: str, where: str) -> object:
    """The one document in `text`. Raises SpecError with a sentence for each mistake; `where` names the file."""
    if len(text) > _MAX_CHARACTERS:
        raise SpecError([f"{where}: expected at most {_MAX_CHARACTERS:,} characters, got more"])
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:
            raise SpecError([f"{where}: expected a ModelLoop, got an empty file"])
        problems = list(_problems(root, where))
        if problems:
            raise SpecError(problems)
        return _Loader("").construct_document(root)
    except yaml.YAMLError as error:
        raise SpecError([_sentence(error, where)]) from None
    except ValueError as error:  # `!!float x`, or a number of thousands of digits
        raise SpecError([f"{where}: expected YAML; {error}"]) from None
    except RecursionError:
        raise SpecError([f"{where}: expected a ModelLoop, got lists or mappings hundreds of levels deep"]) from None


def _problems(root: Node, where: str) -> Iterator[str]:
    """What is wrong with the tree, node by node; without recursion, since an alias may stand inside what it names."""
    todo, seen = [("", root)], 0
    while todo:
        path, node = todo.pop()
        seen += 1
        if seen > _MAX_VALUES:
            yield f"{where}: expected at most {_MAX_VALUES:,} values, got more when its aliases are followed"
            return
        if node.tag not in _PLAIN:
            yield f"{path or where}: expected plain YAML, got the tag {node.tag.removeprefix(_TAG)}; take it out"
        elif isinstance(node, ScalarNode):
            yield from _scalar_problems(path or where, node)
        elif isinstance(node, SequenceNode):
            todo += [(f"{path}.{i}".lstrip("."), item) for i, item in reversed(list(enumerate(node.value)))]
        else:  # a mapping
            yield from _key_problems(path, node)
            todo += [(_below(path, key), value) for key, value in reversed(node.value)]


def _key_problems(path: str, node: Node) -> Iterator[str]:
    keys = [key for key, _ in node.value if key.tag != _MERGE]
    for key in keys:
        if not isinstance(key, ScalarNode) or key.tag != _TAG + "str":
            what = f"{key.value}; put it in quotes" if isinstance(key, ScalarNode) else "a list or mapping"
            yield f"{_below(path, key)}: expected text as a key, got {what} (line {key.start_mark.line + 1})"
    for name, times in Counter(key.value for key in keys if isinstance(key, ScalarNode)).items():
        if times > 1:
            lines = ", ".join(str(k.start_mark.line + 1) for k in keys if k.value == name)
            yield f"{path}.{name}".lstrip(".") + f": expected once, got {times} times (lines {lines}); keep one"


def _scalar_problems(path: str, node: ScalarNode) -> Iterator[str]:
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "bool" and text.lower() not in ("true", "false"):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        yield f"{path}: expected {meant}, or '{text}' in quotes when the text is meant, got {text}"
    elif kind in ("int", "float") and ":" in text:
        yield f"{path}: expected a number or a text in quotes, got {text}, which YAML reads in base 60"
    elif kind == "float" and not math.isfinite(_number(text)):
        yield f"{path}: expected a finite number, got {text}"


def _number(text: str) -> float:
    words = {"inf": "inf", "nan": "nan"}
    plain = text.replace("_", "").lower()
    return float(words.get(plain.lstrip("+-."), plain))


def _below(path: str, key: Node) -> str:
    name = key.value if isinstance(key, ScalarNode) else "?"
    return path if key.tag == _MERGE else f"{path}.{name}".lstrip(".")


def _sentence(error: yaml.YAMLError, where: str) -> str:
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or " ".join(str(error).split()))
    if "another document" in said:
        return f"{where}: expected one ModelLoop, got several documents; give each loop a file of its own"
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    hint = "; YAML is indented with spaces, not tabs" if r"'\t'" in said else ""
    return f"{where}{place}: expected YAML; {said}{hint}"
