"""The emulated AWS, as a user whom the root key made: that key may do anything, and is used for nothing else."""

from typing import Any

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

from localcloud.home import REGION, Home

USER = "developer"


def client(home: Home, service: Any) -> Any:
    """A client of one service, as the created user."""
    return _client(home, service, home.settings.access_key_id, home.settings.secret_access_key)


def credentials(home: Home) -> dict[str, str]:
    """Environment variables with which a program acts as the created user."""
    return {
        "AWS_ACCESS_KEY_ID": home.settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": home.settings.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": home.endpoint_url,
    }


def create_user(home: Home) -> None:
    """Nothing if the user is there already."""
    settings = home.settings
    try:
        if settings.access_key_id:
            client(home, "sts").get_caller_identity()
            return
    except ClientError:
        pass  # the emulator is a new one
    iam = _client(home, "iam", "test", "test")
    iam.create_user(UserName=USER)
    iam.attach_user_policy(UserName=USER, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    settings.access_key_id, settings.secret_access_key = key["AccessKeyId"], key["SecretAccessKey"]
    home.save(settings)


def _client(home: Home, service: Any, access_key_id: str, secret_access_key: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=home.endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        config=Config(proxies={}, connect_timeout=5, read_timeout=60, retries={"max_attempts": 2}),
    )
