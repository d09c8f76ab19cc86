"""What policies say, as IAM reads them: actions in any case, wildcards, conditions; who denies has the last word."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

Statements = list[dict[str, Any]]
TAG = "aws:ResourceTag/environment"


def allows(
    statements: Statements, action: str, resource: str, environment: str, context: Mapping[str, str] | None = None
) -> bool:
    """Whether who bears the tag `environment` may. `context` is what is known of the request, by condition key."""
    effects = {
        statement["Effect"]
        for statement in statements
        if any(fnmatchcase(action.lower(), pattern.lower()) for pattern in many(statement["Action"]))
        and any(fnmatchcase(resource, filled(r, environment)) for r in many(statement["Resource"]))
        and all(
            holds(operator, key, many(values), environment, context or {})
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    }
    return effects == {"Allow"}


def holds(operator: str, key: str, values: list[str], environment: str, context: Mapping[str, str]) -> bool:
    """Whether one condition holds. Raises ValueError for an operator that no policy of ours has had yet."""
    if key not in context:
        return operator.endswith("IfExists")
    match operator.removesuffix("IfExists"):
        case "StringEquals":
            return context[key] in [filled(value, environment) for value in values]
        case "ArnLike":
            return any(fnmatchcase(context[key], filled(value, environment)) for value in values)
    raise ValueError(f"unknown: {operator}")


def filled(text: str, environment: str) -> str:
    return re.sub(r"\${!?aws:PrincipalTag/environment}", environment, text)


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
