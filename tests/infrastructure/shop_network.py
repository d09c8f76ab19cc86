"""What has a network interface in an environment, by all templates with the parameters that they are deployed with."""

import json
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from tests.infrastructure.ecs_design import Design, deployed_with, design
from tests.infrastructure.ecs_design import templates as ecs_templates
from tests.infrastructure.reachability import INTERNET, End, Net
from tests.infrastructure.templates import ROOT, Stack, load, render

SHARED = {name: f"infra/{name}.yaml" for name in ("network", "database", "endpoints")}
Templates = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Shop:
    net: Net
    ends: dict[str, End]
    stacks: tuple[Stack, ...]


def templates() -> Templates:
    """All templates by name, to be changed at will; the ECS design's begin with "ecs/"."""
    ecs = {f"ecs/{name}": template for name, template in ecs_templates().items()}
    return {**{name: load(path) for name, path in SHARED.items()}, "template": load("template.yaml"), **ecs}


@lru_cache(8)
def _rendered(text: str, given: tuple[tuple[str, str], ...]) -> Stack:
    return render(json.loads(text), **dict(given))


def shop(environment: str, made_of: Templates | None = None, **network: str) -> Shop:
    """An environment, of the templates there are or of changed ones; `network` are parameters of infra/network.yaml."""
    made_of = made_of or templates()
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))[environment]["deploy"][
        "parameters"
    ]
    given = {
        "template": dict(each.split("=", 1) for each in samconfig["parameter_overrides"]),
        "database": {
            "Environment": environment,
            "PrivateSubnetIds": f"/kumiki/{environment}/network/private-subnet-ids",
        },
        "endpoints": {
            "Environment": environment,
            "ContainerEndpoints": "true",
            "ProtectedSubnetIds": f"/kumiki/{environment}/network/protected-subnet-ids",
        },
        "network": {"Environment": environment, **network},
    }
    stacks = {
        name: _rendered(json.dumps(made_of[name], default=dict), tuple(parameters.items()))
        for name, parameters in given.items()
    }
    ecs_made_of = {name.removeprefix("ecs/"): each for name, each in made_of.items() if name.startswith("ecs/")}
    ecs = design("CLOUD_MAP", ecs_made_of, environment)
    published = {
        each["Name"]: each["Value"]
        for name in ("network", "database")
        for each in stacks[name].of_type("AWS::SSM::Parameter").values()
    }
    cidr = published[f"/kumiki/{environment}/network/protected-cidr"]
    resources = json.loads(json.dumps(stacks["endpoints"].resources).replace("${ProtectedCidr}", cidr))
    stacks["endpoints"] = Stack(resources, {})
    given["ecs"] = deployed_with(environment) | deployed_with(f"{environment}-migrator")

    def end(of: str, subnets: Any, groups: Any, public: bool = False) -> End:
        return End(ids(of, subnets), ids(of, groups), public)

    def ids(of: str, references: Any) -> tuple[str, ...]:
        """The resources behind references, through the parameters that a stack is given and what others publish."""
        texts = references.split(",") if isinstance(references, str) else references
        names = [each.removeprefix("${").removesuffix("}") for each in texts]
        taken = {name: given[of].get(name, "") for name in names}
        found = [ids(of, published[taken[name]]) if taken[name] in published else (name,) for name in names]
        return tuple(chain.from_iterable(found))

    ends = {"internet": INTERNET, **_ends(stacks, ecs, end)}
    shared = (ecs.template, ecs.cluster, ecs.front_door, ecs.migrator, ecs.repository)
    everything = (*stacks.values(), *shared, *ecs.services.values())
    return Shop(Net(stacks["network"], (stacks["database"], stacks["endpoints"], ecs.cluster)), ends, everything)


def _ends(stacks: dict[str, Stack], ecs: Design, end: Any) -> dict[str, End]:
    ends = {}
    for name, function in stacks["template"].of_type("AWS::Lambda::Function").items():
        kind = "migrator" if name == "Migrator" else "function"
        config = function["VpcConfig"]
        ends[f"{kind} {name}"] = end("template", config["SubnetIds"], config["SecurityGroupIds"])
    for name, service in ecs.services.items():
        config = service.properties("Tasks")["NetworkConfiguration"]["AwsvpcConfiguration"]
        public = config["AssignPublicIp"] != "DISABLED"
        ends[f"task {name}"] = end("ecs", config["Subnets"], config["SecurityGroups"], public)
    ends["migrator task"] = end("ecs", ecs.migrator.outputs["SubnetIds"], ecs.migrator.outputs["SecurityGroupId"])
    [balancer] = ecs.cluster.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    [link] = ecs.front_door.of_type("AWS::ApiGatewayV2::VpcLink").values()
    ends["load balancer"] = end(
        "ecs", balancer["Subnets"], balancer["SecurityGroups"], balancer["Scheme"] != "internal"
    )
    ends["link"] = end("ecs", link["SubnetIds"], link["SecurityGroupIds"])
    [proxy] = stacks["database"].of_type("AWS::RDS::DBProxy").values()
    [instance] = stacks["database"].of_type("AWS::RDS::DBInstance").values()
    [home] = stacks["database"].of_type("AWS::RDS::DBSubnetGroup").values()
    ends["proxy"] = end("database", proxy["VpcSubnetIds"], proxy["VpcSecurityGroupIds"])
    public = bool(instance.get("PubliclyAccessible"))
    ends["database"] = end("database", home["SubnetIds"], instance["VPCSecurityGroups"], public)
    for name, endpoint in stacks["endpoints"].of_type("AWS::EC2::VPCEndpoint").items():
        ends[f"endpoint {name}"] = end("endpoints", endpoint["SubnetIds"], endpoint["SecurityGroupIds"])
    return ends
