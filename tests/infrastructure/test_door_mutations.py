"""Whether assertions about front door and identity notice what they are for: templates broken one place at a time."""

import copy
import inspect
import json
import logging
import re
import runpy
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import pytest

from tests.infrastructure import ecs_design, templates, test_ecs_cluster
from tests.infrastructure.templates import ROOT, Stack, load, render
from tests.infrastructure.test_ecs_mutations import MISSING, Path, at, breakings, name_of

OURS = {"template.yaml": {"Identity", "Api", "AccessLogs", "Firewall", "Domain"}}
"""Of a template that has more than the front door."""
BROKEN = ("infra/identity.yaml", "infra/firewall.yaml", "infra/domain.yaml", "ecs/front_door.yaml", "template.yaml")
OF_BOTH: list[tuple[str, Any]] = [
    ("Firewall/Condition", "HasDomain"),
    ("Api/Properties/MethodSettings/0/DataTraceEnabled", True),
    ("Api/Properties/MethodSettings/1/ResourcePath", "/orders"),
    ("Api/Properties/MethodSettings/1", MISSING),
    ("Api/Properties/AccessLogSetting", MISSING),
    ("Api/Properties/Auth/AddDefaultAuthorizerToCorsPreflight", True),
    ("Api/Properties/Cors/AllowOrigin", "'*'"),
    ("Api/Properties/Cors/AllowHeaders", "'Authorization,Content-Type'"),
    ("Api/Properties/DisableExecuteApiEndpoint", MISSING),
    ("Api/Properties/GatewayResponses/WAF_FILTERED", MISSING),
    ("Api/Properties/TracingEnabled", MISSING),
    ("AccessLogs/Properties/KmsKeyId", MISSING),
]
PLANTED: list[tuple[str, str, Any]] = [
    ("infra/identity.yaml", "UserPool/Properties/Policies/PasswordPolicy/MinimumLength", 8),
    ("infra/identity.yaml", "UserPool/Properties/EnabledMfas", ["SMS_MFA"]),
    ("infra/identity.yaml", "UserPool/Properties/DeletionProtection", "ACTIVE"),
    ("infra/identity.yaml", "UserPoolClient/Properties/ExplicitAuthFlows/2", "ALLOW_USER_PASSWORD_AUTH"),
    ("infra/identity.yaml", "UserPoolClient/Properties/ExplicitAuthFlows/2", "ALLOW_REFRESH_TOKEN_AUTH"),
    ("infra/identity.yaml", "UserPoolClient/Properties/PreventUserExistenceErrors", "LEGACY"),
    ("infra/identity.yaml", "UserPoolClient/Properties/AccessTokenValidity", 90),
    ("infra/identity.yaml", "UserPoolClient/Properties/EnableTokenRevocation", False),
    ("infra/firewall.yaml", "WebAcl/Properties/Rules/4/OverrideAction", {"Count": {}}),
    ("infra/firewall.yaml", "WebAcl/Properties/Rules/1/Action", {"Count": {}}),
    ("infra/firewall.yaml", "WebAcl/Properties/Rules/1/Statement/SizeConstraintStatement/Size", 8192),
    ("infra/firewall.yaml", "WebAcl/Properties/Rules/0/Statement/RateBasedStatement/AggregateKeyType", "CONSTANT"),
    ("infra/firewall.yaml", "WebAcl/Properties/VisibilityConfig/SampledRequestsEnabled", True),
    ("infra/firewall.yaml", "LogGroup/Properties/LogGroupName", {"Ref": "Name"}),
    ("infra/firewall.yaml", "LogGroup/Properties/KmsKeyId", MISSING),
    ("infra/firewall.yaml", "Logging/Properties/RedactedFields", MISSING),
    ("infra/firewall.yaml", "Logging/DependsOn", MISSING),
    ("infra/firewall.yaml", "Association", MISSING),
    ("infra/domain.yaml", "Domain/Properties/SecurityPolicy", "TLS_1_0"),
    ("infra/domain.yaml", "Mapping", MISSING),
    *(("ecs/front_door.yaml", path, value) for path, value in OF_BOTH),
    *(("template.yaml", path, value) for path, value in OF_BOTH[:4]),  # SAM takes long with all functions
]

OF_TASTE = re.compile(r"Description$|/info/|/responses|CustomResponseBodies/\w+/Content$|^Link/Properties/Name")
"""Where another value would do as well, or none."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # of the translator, at each template
    yield
    logging.disable(logging.NOTSET)


def checks() -> Iterator[Callable[[], None]]:
    """Every test of what is ours with each of its parameters, and those of the ECS design about all that it shares."""
    for module in ("front_door", "firewall", "identity"):
        for name, test in runpy.run_path(str(ROOT / f"tests/infrastructure/test_{module}.py")).items():
            if name.startswith("test_") and inspect.isfunction(test) and "sam_cli" not in name:
                marks = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
                named = [each for names, _ in marks for each in ([names] if isinstance(names, str) else names)]
                for chosen in product(*([v if isinstance(v, tuple) else (v,) for v in values] for _, values in marks)):
                    given = dict(zip(named, (value for values in chosen for value in values), strict=True))
                    yield lambda test=test, given=given: test(**given)  # type: ignore[misc]
    for name, test in vars(test_ecs_cluster).items():
        if name.startswith("test_") and list(inspect.signature(test).parameters) == ["design"]:
            yield lambda test=test: test(ecs_design.design("CLOUD_MAP"))  # type: ignore[misc]


@lru_cache(256)
def rendered(text: str, given: tuple[tuple[str, str], ...]) -> Stack:
    return render(json.loads(text), **dict(given))


def noticed(template: str, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bool:
    def loaded(path: str) -> dict[str, Any]:
        return copy.deepcopy(broken) if path == template else load(path)

    with monkeypatch.context() as patched:
        patched.setattr(templates, "load", loaded)
        patched.setattr(templates, "render", lambda each, **given: rendered(json.dumps(each), tuple(given.items())))
        patched.setattr(ecs_design, "_text", lambda name: json.dumps(loaded(f"ecs/{name}.yaml")))
        every = list(checks())  # a module that cannot be imported has noticed nothing
        try:
            for check in every:
                check()
        except Exception:  # a template that cannot even be rendered has been noticed too
            return True
    return False


def changed(template: str, path: Path, value: Any) -> dict[str, Any]:
    broken = load(template)
    place: Any = broken["Resources"]
    for name in path[:-1]:
        place = place[name]
    if value is MISSING:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return broken


def test_what_is_whole_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(checks())) > 80
    assert not noticed("template.yaml", load("template.yaml"), monkeypatch)


@pytest.mark.parametrize(("template", "path", "value"), PLANTED, ids=[f"{t} {p}" for t, p, _ in PLANTED])
def test_a_planted_fault_is_noticed(template: str, path: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(template, changed(template, at(path), value), monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("template", BROKEN)
def test_whatever_is_taken_away_or_changed_is_noticed(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {name: each for name, each in load(template)["Resources"].items() if name in OURS.get(template, {name})}
    survived, count = [], 0
    for (logical_id, *below), value in breakings(resources):
        path = (logical_id, "Properties", *below) if below else (logical_id,)
        if not OF_TASTE.search(name_of(path)):
            count += 1
            if not noticed(template, changed(template, path, value), monkeypatch):
                survived.append(f"{name_of(path)} {'gone' if value is MISSING else value}")
    print(f"{count} faults in {template}")
    assert not survived, "\n".join(survived)
