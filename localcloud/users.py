"""The people of the sample shop in its user pool."""

from contextlib import suppress
from typing import Protocol

from localcloud.aws import client
from localcloud.home import Home
from localcloud.stack import USERS

LOCALES = {"alice": "ja-JP", "bob": "en-US", "staff": "ja-JP"}
"""By name, the language in which they want to be written to."""


class Pool(Protocol):
    """What a description of a running shop says about its people."""

    @property
    def user_pool_id(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def users(self) -> dict[str, dict[str, str]]: ...


class UnknownUser(Exception):
    """Nobody of the sample shop has that name."""


def create(home: Home, stack: Pool) -> None:
    """Those who are not there yet, with the password of `stack`, what is known of them, and in their groups."""
    cognito, pool = client(home, "cognito-idp"), stack.user_pool_id
    for name, groups in USERS.items():
        user = stack.users[name]
        known = {"email": f"{name}@example.com", "email_verified": "true", "locale": LOCALES[name]}
        attributes = [{"Name": attribute, "Value": value} for attribute, value in known.items()]
        with suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(UserPoolId=pool, Username=user["username"], MessageAction="SUPPRESS")
        cognito.admin_update_user_attributes(UserPoolId=pool, Username=user["username"], UserAttributes=attributes)
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=user["username"], Password=user["password"], Permanent=True
        )
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=user["username"], GroupName=group)


def tokens(home: Home, stack: Pool, name: str) -> dict[str, str]:
    """A user's IdToken, AccessToken and RefreshToken; good for an hour. Raises UnknownUser."""
    if name not in stack.users:
        raise UnknownUser(f"there is no {name!r}; say USER= and one of {', '.join(stack.users)}")
    user = stack.users[name]
    answer = client(home, "cognito-idp").admin_initiate_auth(
        UserPoolId=stack.user_pool_id,
        ClientId=stack.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    result: dict[str, str] = answer["AuthenticationResult"]
    return result


def id_token(home: Home, stack: Pool, name: str) -> str:
    return tokens(home, stack, name)["IdToken"]
