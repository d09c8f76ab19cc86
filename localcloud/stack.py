"""What runs, as `stack.json` in the home of a local cloud describes it."""

import json
from dataclasses import asdict, dataclass

from localcloud.cloudformation import outputs, physical_ids
from localcloud.home import REGION, REPOSITORY, Home
from localcloud.mariadb import Server

SERVICES = sorted(folder.parent.name for folder in REPOSITORY.glob("services/*/api.py"))
USERS = {"alice": [], "bob": [], "staff": ["staff"]}
"""By name, the groups of the user pool that they are in."""


@dataclass(frozen=True)
class Stack:
    api_url: str
    endpoint_url: str
    region: str
    aws_access_key_id: str
    aws_secret_access_key: str
    user_pool_id: str
    client_id: str
    event_bus: str
    database: dict[str, str | int]
    """host, port, admin_user, admin_password, ca_file, and service_password, which every service's own user has"""
    users: dict[str, dict[str, str]]
    """by name: username, password"""
    functions: dict[str, dict[str, str]]
    """by service, and by logical id: the function's name"""
    queues: dict[str, str]
    dead_letter_queues: dict[str, str]
    """by service: the queue's URL"""

    @classmethod
    def deployed(cls, home: Home, database: Server) -> "Stack":
        """As it runs now. Raises botocore's ClientError when nothing was deployed."""
        published, settings = outputs(home), home.settings
        functions = physical_ids(home, "AWS::Lambda::Function")
        api_id = physical_ids(home, "AWS::ApiGateway::RestApi")["Api"]
        return cls(
            api_url=f"{home.endpoint_url}/restapis/{api_id}/local/_user_request_",
            endpoint_url=home.endpoint_url,
            region=REGION,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            user_pool_id=published["UserPoolId"],
            client_id=published["UserPoolClientId"],
            event_bus=published["EventBusName"],
            database=database.described() | {"service_password": settings.service_password},
            users={name: {"username": name, "password": settings.user_password} for name in USERS},
            functions={service: _of(service, functions) for service in SERVICES},
            queues=_by_service(published, "QueueUrl"),
            dead_letter_queues=_by_service(published, "DeadLetterQueueUrl"),
        )

    @classmethod
    def load(cls, home: Home) -> "Stack":
        """Raises FileNotFoundError where nothing was ever brought up."""
        return cls(**json.loads((home.root / "stack.json").read_text()))

    def save(self, home: Home) -> None:
        home.write("stack.json", asdict(self))


def _of(service: str, resources: dict[str, str]) -> dict[str, str]:
    return {logical: physical for logical, physical in resources.items() if logical.startswith(service.capitalize())}


def _by_service(outputs: dict[str, str], suffix: str) -> dict[str, str]:
    names = {service: f"{service.capitalize()}{suffix}" for service in SERVICES}
    return {service: outputs[name] for service, name in names.items() if name in outputs}
