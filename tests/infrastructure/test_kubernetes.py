"""The manifest of a service on Kubernetes is one that Kubernetes takes, and says what the task definition says."""

from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tests.infrastructure.templates import ROOT, load

LONGEST_REQUEST_SECONDS = 24
SECRET = {"CLIENT_ID", "CLIENT_SECRET"}  # who calls, and the proof

DEPLOYMENT, SERVICE = yaml.safe_load_all((ROOT / "ecs" / "kubernetes.yaml").read_text(encoding="utf-8"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
ENVIRONMENT = {variable["name"]: variable for variable in CONTAINER["env"]}


@pytest.mark.parametrize("manifest", [DEPLOYMENT, SERVICE], ids=lambda manifest: manifest["kind"])
def test_kubernetes_knows_every_field(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_container_is_told_what_a_task_is_told() -> None:
    task = load("ecs/service.yaml")["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"][0]
    told = {
        name
        for name in named(task["Environment"]) | named(task["Secrets"])
        if name not in ("MAIL_SENDER", "ALLOWED_ORIGIN")
    }
    assert told == ENVIRONMENT.keys()
    lame = next(variable["Value"] for variable in task["Environment"] if variable.get("Name") == "LAME_SECONDS")
    assert ENVIRONMENT["LAME_SECONDS"]["value"] == lame
    assert POD["terminationGracePeriodSeconds"] == task["StopTimeout"]
    assert str(CONTAINER["ports"][0]["containerPort"]) == ENVIRONMENT["PORT"]["value"]


def named(variables: Any) -> set[str]:
    """The names of variables, whatever conditions they are under."""
    if isinstance(variables, list):
        return {name for variable in variables for name in named(variable)}
    if isinstance(variables, dict):
        return {variables["Name"]} if "Name" in variables else named(list(variables.values()))
    return set()


def test_it_has_time_to_be_forgotten_and_to_answer_what_it_took_on() -> None:
    lame = int(ENVIRONMENT["LAME_SECONDS"]["value"])
    assert POD["terminationGracePeriodSeconds"] >= lame + LONGEST_REQUEST_SECONDS
    assert "lifecycle" not in CONTAINER  # a preStop that waits would only delay the signal that makes it lame
    readiness = CONTAINER["readinessProbe"]
    assert readiness["failureThreshold"] * (readiness["periodSeconds"] + readiness["timeoutSeconds"]) < lame


def test_a_busy_one_is_not_passed_over_for_a_late_answer_when_all_others_are_as_busy() -> None:
    """Its probes wait behind requests, for a worker."""
    assert CONTAINER["readinessProbe"]["failureThreshold"] >= 3


def test_its_end_does_not_count_as_its_death() -> None:
    liveness = CONTAINER["livenessProbe"]
    assert liveness["failureThreshold"] * liveness["periodSeconds"] > POD["terminationGracePeriodSeconds"]
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_its_health_is_asked_for_where_it_is_told(probe: str) -> None:
    assert CONTAINER[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_it_is_nobody_and_can_change_nothing() -> None:
    assert (POD["securityContext"]["runAsNonRoot"], POD["securityContext"]["runAsUser"]) == (True, 10001)
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (POD["automountServiceAccountToken"], POD["enableServiceLinks"]) == (False, False)
    assert "10001" in (ROOT / "ecs" / "Dockerfile").read_text(encoding="utf-8")


def test_secrets_are_referred_to_and_never_written() -> None:
    referred = {name for name, variable in ENVIRONMENT.items() if "secretKeyRef" in variable.get("valueFrom", {})}
    assert referred == SECRET


def test_it_runs_on_any_node_of_either_architecture() -> None:
    assert not {"nodeSelector", "affinity", "nodeName"} & POD.keys()
    assert {"cpu", "memory"} <= CONTAINER["resources"]["requests"].keys()
    assert "memory" in CONTAINER["resources"]["limits"]


def test_others_find_it_by_the_name_that_they_call() -> None:
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == SERVICE["spec"]["selector"]
    [port] = SERVICE["spec"]["ports"]
    called = ENVIRONMENT["NEIGHBOUR_URL"]["value"].format(service=SERVICE["metadata"]["name"])
    assert called == f"http://orders:{port['port']}"
    assert port["targetPort"] == CONTAINER["ports"][0]["name"]
