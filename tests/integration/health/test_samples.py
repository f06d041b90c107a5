"""What cannot be started here is at least read: that it says what it must, in the form it must have."""

from __future__ import annotations

import configparser
import re
import subprocess

import pytest
import yaml

from scalekit.health.probes import PATHS, Probe
from tests.integration.health.fleet import HAPROXY, SAMPLES

GRACEFUL = 30  # seconds; graceful_timeout of the gunicorn sample


@pytest.fixture(scope="module")
def manifests():
    found = list(yaml.safe_load_all((SAMPLES / "kubernetes.yaml").read_text()))
    return {manifest["kind"]: manifest for manifest in found}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


def test_every_server_finishes_requests_for_as_long():
    assert f"graceful_timeout = {GRACEFUL}\n" in (SAMPLES / "gunicorn.conf.py").read_text()
    assert f"_SHUTDOWN={GRACEFUL}\n" in (SAMPLES / "uvicorn.env").read_text()
    assert f"_KILL_TIMEOUT={GRACEFUL}\n" in (SAMPLES / "granian.env").read_text()


@pytest.mark.parametrize(
    ("name", "probe"),
    [
        ("startupProbe", Probe.STARTED),
        ("livenessProbe", Probe.LIVE),
        ("readinessProbe", Probe.READY),
    ],
)
def test_kubernetes_asks_each_question_at_its_path(pod, name, probe):
    [container] = pod["containers"]
    asked = container[name]
    assert PATHS[asked["httpGet"]["path"]] is probe
    assert asked["httpGet"]["port"] == container["ports"][0]["name"]
    assert asked["timeoutSeconds"] > 1.3  # the budget and the grace


def test_kubernetes_waits_until_a_drained_pod_is_done(pod, manifests):
    [container] = pod["containers"]
    readiness = container["readinessProbe"]
    [script] = container["lifecycle"]["preStop"]["exec"]["command"][2:]
    drain = int(re.search(r"sleep (\d+)", script)[1])
    assert pod["terminationGracePeriodSeconds"] > drain + GRACEFUL
    assert drain > readiness["periodSeconds"] * (readiness["failureThreshold"] + 1)
    assert "DRAIN_FILE" in [variable["name"] for variable in container["env"]]
    assert manifests["Service"]["spec"]["sessionAffinity"] == "None"


def test_kubernetes_parts_belong_together(manifests):
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels


def test_systemd_waits_until_a_drained_server_is_done():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string((SAMPLES / "photos.service").read_text())
    service = unit["Service"]
    drain = int(re.search(r"drain --wait (\d+)$", service["ExecStop"])[1])
    assert int(service["TimeoutStopSec"]) > drain + GRACEFUL
    assert service["RuntimeDirectory"] == "photos"  # where DRAIN_FILE stands
    assert "/run/photos/drain" in (SAMPLES / "photos.service").read_text()


@pytest.mark.servers
def test_haproxy_likes_its_configuration():
    command = [HAPROXY.find(), "-c", "-f", SAMPLES / "haproxy.cfg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize("sample", ["haproxy.cfg", "nginx.conf", "web_servers.conf"])
def test_no_load_balancer_binds_a_visitor_to_a_server(sample):
    lines = [line.partition("#")[0] for line in (SAMPLES / sample).read_text().splitlines()]
    words = ("ip_hash", "sticky", "cookie", "stick-table", "source", "hash $")
    assert [line for line in lines if any(word in line for word in words)] == []
