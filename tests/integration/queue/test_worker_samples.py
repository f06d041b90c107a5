"""The samples of the workers' page: what cannot be started here is at least read."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandParser

from scalekit.queue.conf import settings
from scalekit.queue.supervisor.figures import Figures
from scalekit.queue.supervisor.options import ARGUMENTS, read
from scalekit.queue.supervisor.probes import answer
from scalekit.queue.supervisor.supervisor import LATE

SAMPLES = Path(__file__).parents[3] / "docs/samples/workers"
NEEDED = settings.DRAIN_SECONDS + LATE + 5


@pytest.fixture(scope="module")
def manifests():
    found = yaml.safe_load_all((SAMPLES / "kubernetes.yaml").read_text())
    return {(m["kind"], m["metadata"]["name"]): m for m in found}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment", "photos-workers"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(SAMPLES / "photos-workers.service")
    return parser["Service"]


def options(words):
    parser = CommandParser()
    for name, keywords in ARGUMENTS.items():
        parser.add_argument(name, **keywords)
    return read({**vars(parser.parse_args(words)), "verbosity": 1})


def test_kubernetes_waits_longer_than_a_drain_takes(pod):
    assert pod["terminationGracePeriodSeconds"] > NEEDED


def test_systemd_waits_longer_than_a_drain_takes_and_tells_the_supervisor_alone(unit):
    assert int(unit["TimeoutStopSec"]) > NEEDED
    assert unit["KillMode"] == "mixed"


def test_commands_are_understood(pod, unit):
    [container] = pod["containers"]
    in_pod = options(container["command"][3:])
    assert (in_pod.policy.maximum, in_pod.relay) == (1, False)
    assert options(unit["ExecStart"].split()[3:]).policy.maximum == 4


@pytest.mark.parametrize("name", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_where_somebody_answers(pod, name):
    [container] = pod["containers"]
    asked = container[name]["httpGet"]
    assert answer(asked["path"], Figures(ready=1), alive=True)[0] == 200
    assert asked["port"] == container["ports"][0]["name"]
    assert options(container["command"][3:]).health == ("", container["ports"][0]["containerPort"])


def test_worker_is_replaced_before_its_pod_is_killed(pod):
    [container] = pod["containers"]
    limit = options([f"--max-memory={container['resources']['limits']['memory']}"]).max_memory
    assert options(container["command"][3:]).max_memory < limit / 2


def test_keda_asks_for_what_is_told(manifests):
    scaled = manifests["ScaledObject", "photos-workers"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "photos-workers"
    assert scaled["minReplicaCount"] >= 1
    for trigger in scaled["triggers"]:
        assert trigger["metadata"]["valueLocation"] in Figures().as_json
        assert trigger["metadata"]["url"].endswith(":9000/scale")
