"""CloudFormation templates as assertions want them: read, transformed by SAM, parameters and conditions worked out.

What only AWS could know stays readable: a reference to a resource becomes "${LogicalId}", an attribute
"${LogicalId.Attribute}", alone as well as inside a longer string. A parameter without a value, and one whose value
stands in Parameter Store, becomes "${Parameter}".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
REGION, ACCOUNT = "ap-northeast-1", "123456789012"
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::StackName": "stack"}
NOTHING = object()


@dataclass(frozen=True)
class Stack:
    """A template as it would be created: only the resources and outputs whose condition holds."""

    resources: dict[str, Any]
    outputs: dict[str, Any]

    def of_type(self, resource_type: str) -> dict[str, Any]:
        """The properties of all resources of a type, by logical id."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] == resource_type}

    def properties(self, logical_id: str) -> dict[str, Any]:
        return dict(self.resources[logical_id]["Properties"])


def load(path: str) -> dict[str, Any]:
    """The template at `path`, from the project's root, with short tags such as !Ref written out."""
    return dict(json.loads(_parsed((ROOT / path).read_text(encoding="utf-8"))))


@cache
def _parsed(text: str) -> str:
    return json.dumps(yaml_parse(text), default=dict)  # where what an alias stands for is a copy


def stack(path: str, **parameters: str) -> Stack:
    """The template at `path` with `parameters`, and the defaults of those that are not given."""
    return render(load(path), **parameters)


def render(template: dict[str, Any], **parameters: str) -> Stack:
    """A loaded template with `parameters`. What it has of it may be changed by SAM."""
    declared = template.get("Parameters", {})
    if unknown := parameters.keys() - declared.keys():
        raise ValueError(f"there is no parameter {', '.join(sorted(unknown))}")
    values = {
        name: str(parameters.get(name, definition.get("Default")))
        for name, definition in declared.items()
        if (name in parameters or "Default" in definition) and not definition["Type"].startswith("AWS::SSM::")
    }
    if "Transform" in template:
        template = transform(template, values)
    return resolve(template, values)


def transform(template: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """What SAM makes of `template`. Local code counts as uploaded; where it lay can still be read from its address."""
    for section in [template.get("Globals", {}).get("Function", {}), *map(_properties, template["Resources"].values())]:
        for key in ("CodeUri", "ContentUri"):
            if key in section:
                section[key] = f"s3://uploaded/{section[key]}"
    session = boto3.Session(region_name=REGION)
    return dict(Translator({}, Parser(), boto_session=session).translate(template, dict(values)))


def resolve(template: dict[str, Any], values: Mapping[str, str]) -> Stack:
    """`template` with its intrinsic functions worked out as far as `values` go."""
    resolver = _Resolver(template, values)
    return Stack(
        resources={name: resolver(resource) for name, resource in resolver.wanted("Resources")},
        outputs={name: resolver(output["Value"]) for name, output in resolver.wanted("Outputs")},
    )


def _properties(resource: dict[str, Any]) -> dict[str, Any]:
    return resource.setdefault("Properties", {})  # type: ignore[no-any-return]


class _Resolver:
    def __init__(self, template: dict[str, Any], values: Mapping[str, str]) -> None:
        self.template = template
        self.conditions: dict[str, Any] = template.get("Conditions", {})
        self.values: dict[str, Any] = dict(PSEUDO)
        for name, value in values.items():
            is_list = "List" in template["Parameters"][name]["Type"]
            self.values[name] = value.split(",") if is_list else value

    def wanted(self, section: str) -> list[tuple[str, Any]]:
        entries = self.template.get(section, {}).items()
        return [(k, v) for k, v in entries if "Condition" not in v or self.holds({"Condition": v["Condition"]})]

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self, value) if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self.call(function, argument)
        resolved = {key: self(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NOTHING}

    def call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", name:
                return NOTHING if name == "AWS::NoValue" else self.values.get(name, f"${{{name}}}")
            case "Fn::GetAtt", [name, attribute]:
                return f"${{{name}.{attribute}}}"
            case "Fn::If", [condition, yes, no]:
                return self(yes if self.holds({"Condition": condition}) else no)
            case "Fn::Sub", [text, variables]:
                return self.substitute(text, self.values | self(variables))
            case "Fn::Sub", text:
                return self.substitute(text, self.values)
            case "Fn::GetAZs", _:
                return [REGION + letter for letter in "abc"]
        argument = self(argument)
        match function, argument:
            case "Fn::Join", [separator, [*parts]]:
                return separator.join(parts)
            case "Fn::Join", [_, str(text)]:  # a list that only AWS knows
                return text
            case "Fn::Split", [separator, str(text)] if "${" not in text:
                return text.split(separator)
            case "Fn::Select", [index, [*items]]:
                return items[int(index)]
        return {function: argument}

    def substitute(self, text: str, values: Mapping[str, Any]) -> str:
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", str(value))
        return text

    def holds(self, condition: dict[str, Any]) -> bool:
        [(function, argument)] = condition.items()
        match function:
            case "Condition":
                return self.holds(self.conditions[argument])
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
            case "Fn::Equals":
                left, right = map(self, argument)
                return str(left) == str(right)
        raise ValueError(f"not a condition: {condition}")
