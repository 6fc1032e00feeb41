"""The API server that the other tests lean on is a real one: it authenticates, authorizes, validates and admits."""

from __future__ import annotations

import pytest

from serinus.adapters.kube import CONFIG_MAPS, SELF_SUBJECT_REVIEWS
from serinus.errors import Fatal
from tests.servers.kubernetes import ApiServer


def test_everybody_is_who_they_say_and_has_no_rights_of_their_own(server: ApiServer) -> None:
    server.namespace("strangers")
    cases = {
        "alice": server.user("alice"),
        "system:serviceaccount:strangers:robot": server.service_account("strangers", "robot"),
        "carol": server.impersonate("carol"),
    }
    for name, kube in cases.items():
        review = kube.create(SELF_SUBJECT_REVIEWS, None, {"apiVersion": "authentication.k8s.io/v1"})
        assert review["status"]["userInfo"]["username"] == name
        with pytest.raises(Fatal, match=f'User "{name}" cannot list resource "configmaps"'):
            kube.list(CONFIG_MAPS, "strangers")


def test_what_was_written_is_there_after_a_restart(server: ApiServer) -> None:
    namespace = server.namespace("lasting")
    server.kube.create(CONFIG_MAPS, namespace, {"metadata": {"name": "kept"}, "data": {"a": "1"}})
    server.stop()
    server.start()
    kept = server.kube.get(CONFIG_MAPS, namespace, "kept")
    assert kept is not None
    assert kept["data"] == {"a": "1"}


def test_kubectl_asks_it(server: ApiServer) -> None:
    answer = server.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", user="bob")
    assert (answer.returncode, answer.stdout) == (0, "bob"), answer.stderr
