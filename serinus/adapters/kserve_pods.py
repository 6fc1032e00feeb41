"""How a version's server is, as its pods and its InferenceService tell: pure functions over the API's objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any  # Kubernetes objects are JSON

from serinus.facts import VariantState
from serinus.render import names
from serinus.render.kserve import CONTAINER, INITIALIZER

Object = dict[str, Any]
_LONGEST = 500  # characters of a message
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def state(
    version: int, weight: int, service: Object | None, pods: Sequence[Object], slices: Sequence[Object]
) -> VariantState:
    """One version: ready when a pod of it is and its Service knows it; its containers' restarts; why it is not ready.

    service: its InferenceService; None when there is none, which explains itself. slices: its EndpointSlices, by which
    gateways find it: on a busy cluster they are a second or two behind the pods.
    """
    staying = [pod for pod in pods if not _leaving(pod)]
    restarts = sum(int(s.get("restartCount", 0)) for pod in staying for s in _statuses(pod, "containerStatuses"))
    lives = service is not None and not _leaving(service)
    up = any(_condition(pod, "Ready").get("status") == "True" for pod in staying)
    ready = lives and up and any(_known(endpoint) for found in slices for endpoint in found.get("endpoints") or ())
    message = "" if ready else _why(service, pods, staying)
    return VariantState(version, ready, weight, message[:_LONGEST], restarts)


def version_of(of: Object) -> int:
    """Which version an object of ours belongs to."""
    return int(of["metadata"]["labels"][names.VERSION_LABEL])


def numbered(of: Object) -> bool:
    """Whether it says so: not all that carries a loop's label was made here."""
    return str((of["metadata"].get("labels") or {}).get(names.VERSION_LABEL, "")).isdecimal()


def by_version(found: Iterable[Object]) -> dict[int, list[Object]]:
    """Those that say which version they belong to."""
    by: dict[int, list[Object]] = {}
    for each in found:
        if numbered(each):
            by.setdefault(version_of(each), []).append(each)
    return by


def _why(service: Object | None, pods: Sequence[Object], staying: Sequence[Object]) -> str:
    if service is None:
        return "expected its InferenceService, there is none"
    if _leaving(service):
        return "its InferenceService is being deleted"
    found = next((said for pod in staying for said in _troubles(pod)), "")
    if found:
        return found
    if staying:
        return "its server gets ready"
    said = _said_by_kserve(service)
    if said:
        return said
    return "its pod is ending, the next one is not there yet" if pods else "its pod is not there yet"


def _troubles(pod: Object) -> Iterator[str]:
    """What is wrong with a pod, the most telling first."""
    for kind, named in (("initContainerStatuses", INITIALIZER), ("containerStatuses", CONTAINER)):
        for status in _statuses(pod, kind):
            what = "the model could not be fetched" if status.get("name") == INITIALIZER else "the server"
            yield from _trouble(status, what if status.get("name") == named else f"container {status.get('name')}")
    placed = _condition(pod, "PodScheduled")
    if placed.get("status") == "False":
        yield f"{placed.get('reason', 'not scheduled')}: {placed.get('message', '')}"


def _trouble(status: Object, what: str) -> Iterator[str]:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or last.get("terminated") or {}
    if ended.get("exitCode"):
        how = ended.get("reason", "Error")
        if waiting.get("reason") and waiting["reason"] not in _STARTING:
            how = waiting["reason"]
        why = _last_words(ended.get("message", "")) or f"exit code {ended['exitCode']}"
        yield f"{what}: {how}: {why}"
    elif waiting.get("reason") and waiting["reason"] not in _STARTING:
        yield f"{what}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")


def _last_words(text: str) -> str:
    """The last line of a termination message: of a traceback the part that says what it was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _said_by_kserve(service: Object) -> str:
    """Why KServe has made no pod: a failure of the model or a condition that is False, in its words."""
    status = service.get("status") or {}
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if failure.get("message"):
        return f"{failure.get('reason', 'KServe')}: {failure['message']}"
    for condition in status.get("conditions") or ():
        if condition.get("status") == "False" and condition.get("message"):
            return f"{condition['type']}: {condition.get('reason', '')}: {condition['message']}"
    return ""


def _known(endpoint: Object) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _leaving(of: Object) -> bool:
    return bool(of["metadata"].get("deletionTimestamp"))


def _statuses(pod: Object, kind: str) -> Sequence[Object]:
    return (pod.get("status") or {}).get(kind) or ()


def _condition(pod: Object, kind: str) -> Object:
    conditions: Sequence[Object] = (pod.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == kind), {})
