"""How a loop's parts on a cluster reach the collector, and by what right: arguments, tokens, rules.

The collector asks the API server whose token it was shown, and whether that account may `create` the loop's
`predictions` or `labels`, or `get` its `records`: subresources of modelloops that nothing but RBAC knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from serinus.render import names
from serinus.render.objects import Rendered, account, token
from serinus.spec import Collect

AUDIENCE = "serinus-collector"
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Collector:
    """Where it is, and in which file of a pod the token for it stands; "" where none is asked for."""

    url: str
    token_path: str = ""

    @property
    def volume(self) -> tuple[Rendered, Rendered] | None:
        """The token's volume and its mount, where one is asked for."""
        return token("collector-token", self.token_path, AUDIENCE, TOKEN_SECONDS) if self.token_path else None


def arguments(collect: Collect, collector: Collector, namespace: str) -> list[str]:
    """What a predictor is told of what it is to hand on, and where."""
    args = ["--collector", collector.url, "--namespace", namespace, "--sample", f"{collect.sample:g}"]
    if collector.token_path:
        args += ["--collector-token", collector.token_path]
    if collect.columns is not None:
        # No column at all is not the same as all of them.
        args += _each("--columns", collect.columns or ("",))
    return args + _each("--hash", collect.hash)


def may(loop: str, verb: str, what: str) -> Rendered:
    """The right to `verb` the loop's `what` (predictions, labels, records)."""
    return {
        "apiGroups": [names.GROUP],
        "resources": [f"modelloops/{what}"],
        "resourceNames": [loop],
        "verbs": [verb],
    }


def predictor_account(loop: str, namespace: str, uid: str = "") -> tuple[Rendered, Rendered, Rendered]:
    """Of the predictors of a loop that collects: they may hand on the loop's predictions, no more."""
    rules = [may(loop, "create", "predictions")]
    return account(names.predictor(loop), namespace, rules, loop=loop, uid=uid)


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
