"""Envoy's objects, compared whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from serinus.facts import Routing, Sticky, Variant
from serinus.render import envoy as render
from serinus.render.envoy import Endpoint

HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PREVIOUS = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def routing(*shares: tuple[int, int]) -> Routing:
    return Routing(tuple(Variant(version, weight) for version, weight in shares))


def test_the_bootstrap_listens_on_loopback_only_and_takes_the_rest_from_files() -> None:
    assert render.bootstrap("/state/envoy", 8080, 9901) == {
        "node": {"id": "serinus", "cluster": "serinus"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}},
        "dynamic_resources": {
            "cds_config": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": "/state/envoy/clusters.json",
                    "watched_directory": {"path": "/state/envoy"},
                },
            }
        },
        "static_resources": {
            "listeners": [
                {
                    "name": "loop",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}},
                    "enable_reuse_port": False,
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": {
                                        "@type": MANAGER,
                                        "stat_prefix": "loop",
                                        "use_remote_address": True,
                                        "server_header_transformation": "PASS_THROUGH",
                                        "request_headers_timeout": "10s",
                                        "request_timeout": "60s",
                                        "rds": {
                                            "route_config_name": "loop",
                                            "config_source": {
                                                "resource_api_version": "V3",
                                                "path_config_source": {
                                                    "path": "/state/envoy/routes.json",
                                                    "watched_directory": {"path": "/state/envoy"},
                                                },
                                            },
                                        },
                                        "http_filters": [
                                            {
                                                "name": "envoy.filters.http.router",
                                                "typed_config": {
                                                    "@type": "type.googleapis.com/"
                                                    "envoy.extensions.filters.http.router.v3.Router",
                                                    "suppress_envoy_headers": True,
                                                },
                                            }
                                        ],
                                    },
                                }
                            ]
                        }
                    ],
                }
            ]
        },
    }


def cluster(version: int) -> dict[str, object]:
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": f"flights-v{version}",
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": f"/state/envoy/endpoints-v{version}.json",
                    "watched_directory": {"path": "/state/envoy"},
                },
            }
        },
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {
            "thresholds": [
                {
                    "priority": "DEFAULT",
                    "max_connections": 8192,
                    "max_pending_requests": 8192,
                    "max_requests": 8192,
                    "max_retries": 8192,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP,
                "common_http_protocol_options": {"idle_timeout": "3s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def test_a_version_is_a_cluster_whose_endpoints_come_from_its_own_file() -> None:
    assert render.clusters("/state/envoy", "flights", {12, 7}) == {
        "version_info": "a8d2ffdbdc5d8bb2",
        "resources": [cluster(7), cluster(12)],
    }


def endpoint(version: int, port: int, address: str = "127.0.0.1") -> dict[str, object]:
    return {
        "endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}},
        "metadata": {"filter_metadata": {"serinus": {"version": str(version)}}},
    }


def test_behind_a_versions_own_replicas_stand_the_other_versions_one_priority_each() -> None:
    own = {
        7: [Endpoint("127.0.0.1", 7001)],
        12: [Endpoint("127.0.0.1", 1201), Endpoint("127.0.0.2", 1202)],
        13: [Endpoint("127.0.0.1", 1301)],
    }
    assert render.endpoints("flights", 12, own, [13, 12, 7]) == {
        "version_info": "9f15cb2400d73d2c",
        "resources": [
            {
                "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                "cluster_name": "flights-v12",
                "endpoints": [
                    {"priority": 0, "lb_endpoints": [endpoint(12, 1201), endpoint(12, 1202, "127.0.0.2")]},
                    {"priority": 1, "lb_endpoints": [endpoint(13, 1301)]},
                    {"priority": 2, "lb_endpoints": [endpoint(7, 7001)]},
                ],
            }
        ],
    }


def test_a_version_that_is_not_ready_leaves_its_place_empty_for_the_others() -> None:
    assert render.endpoints("flights", 8, {7: [Endpoint("127.0.0.1", 7001)]}, [7]) == {
        "version_info": "3047a52319afe0b8",
        "resources": [
            {
                "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                "cluster_name": "flights-v8",
                "endpoints": [
                    {"priority": 0, "lb_endpoints": []},
                    {"priority": 1, "lb_endpoints": [endpoint(7, 7001)]},
                ],
            }
        ],
    }


def says(match: Mapping[str, object], status: int, body: str) -> dict[str, object]:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


PATH = {"safe_regex": {"regex": "/v[12]/models/flights([:/].*)?|/v2/health/ready"}}
TOO_LARGE = says(
    {**PATH, "headers": [{"name": "content-length", "range_match": {"start": 16777217, "end": 9223372036854775807}}]},
    413,
    '{"error": "expected a body of at most 16777216 bytes"}',
)
ELSEWHERE = says(
    {"prefix": "/"},
    404,
    '{"error": "expected /v1/models/flights:predict, /v2/models/flights/infer or /v2/health/ready"}',
)


FORGED = says(
    {
        **PATH,
        "headers": [{"name": ":authority", "string_match": {"safe_regex": {"regex": ".*-shadow(:[0-9]+)?"}}}],
    },
    400,
    '{"error": "expected a Host that does not end in -shadow: by that the copies of requests are known"}',
)


def routes(version: str, middle: dict[str, object]) -> dict[str, object]:
    return {
        "version_info": version,
        "resources": [
            {
                "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                "name": "loop",
                "virtual_hosts": [
                    {
                        "name": "loop",
                        "domains": ["*"],
                        "routes": [FORGED, TOO_LARGE, middle, ELSEWHERE],
                    }
                ],
            }
        ],
    }


def weighted(version: int, weight: int) -> dict[str, object]:
    return {
        "name": f"flights-v{version}",
        "weight": weight,
        "response_headers_to_add": [
            {
                "header": {"key": "x-serinus-version", "value": "%UPSTREAM_METADATA(serinus:version)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def split(*clusters: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "match": PATH,
        "request_body_buffer_limit": 16777216,
        "route": {
            "timeout": "2.500s",
            "weighted_clusters": {"clusters": list(clusters)},
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,reset",
                "num_retries": 3,
                "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.020s"},
                "retry_priority": {
                    "name": "envoy.retry_priorities.previous_priorities",
                    "typed_config": {"@type": PREVIOUS, "update_frequency": 1},
                },
            },
            **more,
        },
    }


TIMEOUT = timedelta(milliseconds=2500)


def test_the_route_splits_by_weight_and_tries_again_only_what_was_never_answered() -> None:
    assert render.routes("flights", {12: 20, 7: 80}, TIMEOUT) == routes(
        "a1f5509e9a831b0c", split(weighted(7, 80), weighted(12, 20))
    )


def test_a_share_of_the_requests_is_copied_to_a_version_without_a_weight() -> None:
    copied = {
        "cluster": "flights-v12",
        "runtime_fraction": {"default_value": {"numerator": 30, "denominator": "HUNDRED"}},
    }
    assert render.routes("flights", {7: 100}, TIMEOUT, {12: 30}) == routes(
        "e2e020594460eb58", split(weighted(7, 100), request_mirror_policies=[copied])
    )


@pytest.mark.parametrize(
    ("by", "policy"),
    [
        (Sticky("header", "x-user"), {"header": {"header_name": "x-user"}}),
        (Sticky("cookie", "sid"), {"cookie": {"name": "sid"}}),
    ],
)
def test_who_stays_with_a_version_is_known_by_a_header_or_a_cookie(by: Sticky, policy: dict[str, object]) -> None:
    plain: Any = render.routes("flights", {7: 50, 12: 50}, TIMEOUT)
    sticky: Any = render.routes("flights", {7: 50, 12: 50}, TIMEOUT, sticky=by)
    route = sticky["resources"][0]["virtual_hosts"][0]["routes"][2]["route"]
    assert route.pop("hash_policy") == [policy]
    assert route["weighted_clusters"].pop("use_hash_policy") is True
    assert sticky["resources"] == plain["resources"]


def test_without_a_ready_version_the_route_says_so() -> None:
    assert render.routes("flights", {}, timedelta(seconds=10)) == routes(
        "22b042c5c5979ea3", says(PATH, 503, '{"error": "no version of flights is ready; try again later"}')
    )


def test_the_same_content_has_the_same_version_and_another_content_another() -> None:
    one, same, other = (
        render.routes("flights", weights, timedelta(seconds=1))
        for weights in ({1: 80, 2: 20}, {2: 20, 1: 80}, {1: 100})
    )
    assert one == same
    assert one["version_info"] != other["version_info"]
