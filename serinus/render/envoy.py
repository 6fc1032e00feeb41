"""One loop's traffic as Envoy's configuration: a static bootstrap, and clusters, endpoints and routes by files.

A version is a cluster. Its own replicas are priority 0 and the other ready versions stand behind it, one priority
each, so that Envoy alone keeps every request alive while one predictor lives: a connection that fails is tried again
at the next priority. An answer, whatever its status, is never tried again: errors are evidence for the judge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from serinus.facts import Sticky

type_url = "type.googleapis.com/envoy.{}".format
Rendered = dict[str, object]

CLUSTERS = "clusters.json"
ROUTES = "routes.json"
MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request's body; a larger one is refused before it reaches a predictor."""
SHADOW = "-shadow"
"""What Envoy, and with it a gateway made of it, appends to the host of a copy: by that a predictor knows that its
answer is thrown away."""
# Under uvicorn's keep-alive of 5 s, so that it is Envoy that closes an idle connection and no request meets a closing
# one.
_IDLE = "3s"
# Envoy's default of 3 retries at a time loses requests when a busy version dies.
_AT_ONCE = 8192


@dataclass(frozen=True, order=True)
class Endpoint:
    """Where a replica of a version listens."""

    address: str
    port: int


def cluster(loop: str, version: int) -> str:
    """The name of a version's cluster."""
    return f"{loop}-v{version}"


def bootstrap(folder: str, port: int, admin_port: int) -> Rendered:
    """What Envoy is started with: a listener and an admin on loopback, all else from files in `folder`.

    Neither socket may be shared: a second Envoy on the same port has to fail, not to take half of the requests.
    """
    manager: Rendered = {
        "@type": type_url("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "loop",
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "rds": {"route_config_name": "loop", "config_source": _from_file(folder, ROUTES)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": type_url("extensions.filters.http.router.v3.Router"),
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    return {
        "node": {"id": "serinus", "cluster": "serinus"},
        "admin": {"address": _socket("127.0.0.1", admin_port)},
        "dynamic_resources": {"cds_config": _from_file(folder, CLUSTERS)},
        "static_resources": {
            "listeners": [
                {
                    "name": "loop",
                    "address": _socket("127.0.0.1", port),
                    "enable_reuse_port": False,
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ]
        },
    }


def clusters(folder: str, loop: str, versions: Iterable[int]) -> Rendered:
    """The CDS file: one cluster a version, its endpoints from a file beside it."""
    return _response([_cluster(folder, loop, version) for version in sorted(versions)])


def endpoints_file(version: int) -> str:
    """The name of a version's EDS file: Envoy refuses a file with the endpoints of two clusters."""
    return f"endpoints-v{version}.json"


def endpoints(loop: str, version: int, own: Mapping[int, Sequence[Endpoint]], fallbacks: Sequence[int]) -> Rendered:
    """A version's EDS file: the replicas of its own, then those of `fallbacks` in their order."""
    return _response(
        [
            {
                "@type": type_url("config.endpoint.v3.ClusterLoadAssignment"),
                "cluster_name": cluster(loop, version),
                "endpoints": [
                    {"priority": priority, "lb_endpoints": [_endpoint(of, where) for where in own.get(of, ())]}
                    for priority, of in enumerate(order(version, fallbacks))
                ],
            }
        ]
    )


def order(version: int, fallbacks: Sequence[int]) -> list[int]:
    """Whose replicas a version's cluster has at priority 0, 1, 2, …: its own first."""
    return [version, *(other for other in fallbacks if other != version)]


def routes(
    loop: str,
    weights: Mapping[int, int],
    timeout: timedelta,
    mirrors: Mapping[int, int] | None = None,
    sticky: Sticky | None = None,
) -> Rendered:
    """The RDS file: the loop's requests to its versions by weight; with no weights a 503 that says so.

    A caller waits `timeout` at most, attempts on other versions included.
    mirrors: version -> percent of these requests that it gets a copy of.
    sticky: by what a user is known who is to get the same version each time.
    """
    path = {"safe_regex": {"regex": f"/v[12]/models/{loop}([:/].*)?|/v2/health/ready"}}
    too_large = {
        **path,
        "headers": [{"name": "content-length", "range_match": {"start": MAX_BODY + 1, "end": 2**63 - 1}}],
    }
    forged = {"name": ":authority", "string_match": {"safe_regex": {"regex": f".*{SHADOW}(:[0-9]+)?"}}}
    not_a_copy = f"expected a Host that does not end in {SHADOW}: by that the copies of requests are known"
    to: Rendered = (
        # So much of a body is kept for a second attempt; Envoy 1.40 ignores the same limit on the virtual host.
        {
            "match": path,
            "request_body_buffer_limit": MAX_BODY,
            "route": {**_route(loop, weights, timeout, sticky), **_copies(loop, mirrors or {})},
        }
        if weights
        else _says(path, 503, f"no version of {loop} is ready; try again later")
    )
    return _response(
        [
            {
                "@type": type_url("config.route.v3.RouteConfiguration"),
                "name": "loop",
                "virtual_hosts": [
                    {
                        "name": "loop",
                        "domains": ["*"],
                        "routes": [
                            _says({**path, "headers": [forged]}, 400, not_a_copy),
                            _says(too_large, 413, f"expected a body of at most {MAX_BODY} bytes"),
                            to,
                            _says(
                                {"prefix": "/"},
                                404,
                                f"expected /v1/models/{loop}:predict, /v2/models/{loop}/infer or /v2/health/ready",
                            ),
                        ],
                    }
                ],
            }
        ]
    )


def _route(loop: str, weights: Mapping[int, int], timeout: timedelta, sticky: Sticky | None) -> Rendered:
    # Which version answered is told by the endpoint: a fallback answers for another version than the one drawn.
    told = {
        "header": {"key": "x-serinus-version", "value": "%UPSTREAM_METADATA(serinus:version)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {
        "timeout": f"{timeout.total_seconds():.3f}s",
        "weighted_clusters": {
            "clusters": [
                {"name": cluster(loop, version), "weight": weight, "response_headers_to_add": [told]}
                for version, weight in sorted(weights.items())
            ],
            **({"use_hash_policy": True} if sticky is not None else {}),
        },
        **({"hash_policy": [_hashed(sticky)]} if sticky is not None else {}),
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset",
            "num_retries": 3,
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.020s"},
            "retry_priority": {
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": type_url("extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"),
                    "update_frequency": 1,
                },
            },
        },
    }


def _hashed(by: Sticky) -> Rendered:
    """What a version is drawn by; where a request lacks it, by chance."""
    return {"header": {"header_name": by.name}} if by.kind == "header" else {"cookie": {"name": by.name}}


def _copies(loop: str, mirrors: Mapping[int, int]) -> Rendered:
    """What a route says of who gets copies; nobody waits for the answers, and none is tried again."""
    policies = [
        {
            "cluster": cluster(loop, version),
            "runtime_fraction": {"default_value": {"numerator": percent, "denominator": "HUNDRED"}},
        }
        for version, percent in sorted(mirrors.items())
    ]
    return {"request_mirror_policies": policies} if policies else {}


def _cluster(folder: str, loop: str, version: int) -> Rendered:
    return {
        "@type": type_url("config.cluster.v3.Cluster"),
        "name": cluster(loop, version),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _from_file(folder, endpoints_file(version))},
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {
            "thresholds": [
                {
                    "priority": "DEFAULT",
                    "max_connections": _AT_ONCE,
                    "max_pending_requests": _AT_ONCE,
                    "max_requests": _AT_ONCE,
                    "max_retries": _AT_ONCE,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_url("extensions.upstreams.http.v3.HttpProtocolOptions"),
                "common_http_protocol_options": {"idle_timeout": _IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _endpoint(version: int, where: Endpoint) -> Rendered:
    return {
        "endpoint": {"address": _socket(where.address, where.port)},
        "metadata": {"filter_metadata": {"serinus": {"version": str(version)}}},
    }


def _says(match: Mapping[str, object], status: int, message: str) -> Rendered:
    as_json = {
        "header": {"key": "content-type", "value": "application/json"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {
        "match": dict(match),
        "direct_response": {"status": status, "body": {"inline_string": json.dumps({"error": message})}},
        "response_headers_to_add": [as_json],
    }


def _socket(address: str, port: int) -> Rendered:
    return {"socket_address": {"address": address, "port_value": port}}


def _from_file(folder: str, name: str) -> Rendered:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": f"{folder}/{name}", "watched_directory": {"path": folder}},
    }


def _response(resources: Sequence[Rendered]) -> Rendered:
    """A DiscoveryResponse; the same content has the same version, which Envoy's admin reports once it is in use."""
    content = json.dumps(resources, sort_keys=True).encode()
    return {"version_info": hashlib.sha256(content).hexdigest()[:16], "resources": list(resources)}
