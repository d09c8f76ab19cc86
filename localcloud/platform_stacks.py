"""What bootstrap, network and database of infra/ would have published, and the domain that mails come from.

The emulator knows neither NAT nor RDS Proxy: network and proxy are made up; keys, boundary and secret are there.
"""

import json
from contextlib import suppress
from typing import Any

from localcloud.aws import client
from localcloud.home import Home
from localcloud.mariadb import Server

ADMINISTRATOR = "kumiki-local-database-administrator"
MAIL_DOMAIN = "example.com"
BOUNDARY = "kumiki-local-boundary"
KEYS = ("data", "messages", "logs")
ACCOUNT = (*(f"{key}-key-arn" for key in KEYS), "permissions-boundary-arn")


def parameters(database: Server, administrator_arn: str) -> dict[str, str]:
    """Values by name, of all parameters that those stacks have; commas are between the entries of a list."""
    values = {
        "network/vpc-id": "vpc-0local",
        "network/protected-cidr": "10.20.64.0/18",
        "network/public-subnet-ids": "subnet-0public1,subnet-0public2",
        "network/protected-subnet-ids": "subnet-0protected1,subnet-0protected2",
        "network/private-subnet-ids": "subnet-0private1,subnet-0private2",
        "database/client-security-group-id": "sg-0client",
        "database/migrator-security-group-id": "sg-0migrator",
        "database/proxy-endpoint": database.host,
        "database/proxy-resource-id": "prx-0local",
        "database/endpoint": database.host,
        "database/port": str(database.port),
        "database/admin-secret-arn": administrator_arn,
        "database/instance-name": "kumiki-local",
        "database/proxy-name": "kumiki-local",
    }
    return {f"/kumiki/local/{name}": value for name, value in values.items()}


def account_parameters(home: Home) -> dict[str, str]:
    """Of what an account has once, made where it is missing: keys, and the most that roles may do, here everything."""
    keys = [_key(client(home, "kms"), f"alias/kumiki-{name}") for name in KEYS]
    values = zip(ACCOUNT, [*keys, _boundary(client(home, "iam"))], strict=True)
    return {f"/kumiki/account/{name}": value for name, value in values}


def _key(kms: Any, alias: str) -> str:
    try:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        key = kms.create_key()["KeyMetadata"]
        kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        return str(key["Arn"])


def _boundary(iam: Any) -> str:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        return str(iam.create_policy(PolicyName=BOUNDARY, PolicyDocument=document)["Policy"]["Arn"])
    [known] = [p["Arn"] for p in iam.list_policies(Scope="Local")["Policies"] if p["PolicyName"] == BOUNDARY]
    return str(known)


def publish(home: Home, database: Server) -> None:
    client(home, "ses").verify_domain_identity(Domain=MAIL_DOMAIN)
    secrets, ssm = client(home, "secretsmanager"), client(home, "ssm")
    with suppress(secrets.exceptions.ResourceExistsException):
        secrets.create_secret(Name=ADMINISTRATOR)
    login = json.dumps({"username": database.user, "password": database.password})
    arn = secrets.put_secret_value(SecretId=ADMINISTRATOR, SecretString=login)["ARN"]
    for name, value in (parameters(database, arn) | account_parameters(home)).items():
        ssm.put_parameter(Name=name, Value=value, Type="StringList" if "," in value else "String", Overwrite=True)
