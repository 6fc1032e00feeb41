"""A loop's traffic on a cluster: an HTTPRoute of our own over the Services that KServe makes for the versions.

KServe's own routes do not split (0.20), or by rules of their own; editing them is reverted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from serinus.render import names
from serinus.render.objects import Rendered, metadata


def http_route(
    loop: str,
    namespace: str,
    host: str,
    gateway: str,
    weights: Mapping[int, int],
    timeout: timedelta | None = None,
    uid: str = "",
    mirrors: Mapping[int, int] | None = None,
) -> Rendered:
    """The loop's route: `weights` (version -> whole percent) over the versions' Services.

    gateway: `namespace/name`. timeout: of a request; None where the gateway knows no timeouts.
    mirrors: version -> percent of the requests that it gets a copy of. A gateway that knows no `percent` (Contour 1.33;
    the Gateway API has it since 1.3) copies all: more evidence and more load, and nobody is answered otherwise.
    Predictions and readiness only: a predictor's metrics are nobody's business outside the cluster.
    """
    of, name = gateway.split("/")
    paths = [
        *(("Exact", f"/v1/models/{loop}{what}") for what in (":predict", "")),
        ("PathPrefix", f"/v2/models/{loop}"),
        ("Exact", "/v2/health/ready"),
    ]
    rule: Rendered = {
        "matches": [{"path": {"type": kind, "value": value}} for kind, value in paths],
        "backendRefs": [{**_service(loop, version), "weight": weight} for version, weight in sorted(weights.items())],
    }
    if mirrors:
        rule["filters"] = [_copies(loop, version, percent) for version, percent in sorted(mirrors.items())]
    if timeout is not None:
        rule["timeouts"] = {"request": _gateway_duration(timeout)}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(loop, namespace, names.labels(loop), loop=loop, uid=uid),
        "spec": {
            "parentRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": of, "name": name},
            ],
            "hostnames": [host],
            "rules": [rule],
        },
    }


def _service(loop: str, version: int) -> Rendered:
    return {"group": "", "kind": "Service", "name": names.service(loop, version), "port": 80}


def _copies(loop: str, version: int, percent: int) -> Rendered:
    share = {"percent": percent} if percent < 100 else {}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": _service(loop, version), **share}}


def _gateway_duration(value: timedelta) -> str:
    """The Gateway API's form: at most five digits a unit (GEP-2257)."""
    seconds, milliseconds = divmod(round(value.total_seconds() * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    parts = ((minutes, "m"), (seconds, "s"), (milliseconds, "ms"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
