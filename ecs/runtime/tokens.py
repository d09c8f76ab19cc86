"""Who is asking: verifies a customer's ID token or a service's access token by the user pool's published keys."""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from common.observability import describe, logger
from ecs.runtime.settings import scope

Claims = Mapping[str, Any]

FETCH_SECONDS = 2.0
FRESH_SECONDS = 3600.0  # keys are asked for again when they are older than this, or do not have the one that is named
PAUSE_SECONDS = 30.0  # between two of these: whoever makes keys up does not make us ask for each
WITHOUT_SECONDS = 5.0  # the same while there is none: not everybody who comes waits for a pool that hangs
CLOCK_SECONDS = 5.0  # a token of just now is from the future where our clock is behind the pool's


class NoValidToken(Exception):
    """There is no token, or none that this pool gave for this purpose."""


class WrongScope(Exception):
    """A service's token, but not for this service."""


class KeysUnavailable(Exception):
    """No key has ever been had from the pool: nobody can be told from anybody else just now."""


class Keys:
    """The pool's public keys. What was fetched once serves on while they cannot be fetched again."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")

    def key(self, kid: str) -> jwt.PyJWK:
        """Raises NoValidToken, KeysUnavailable."""
        now = time.monotonic()
        wanted = kid not in self._keys or now - self._fetched_at > FRESH_SECONDS
        if wanted and now - self._asked_at > (PAUSE_SECONDS if self._keys else WITHOUT_SECONDS):
            self._asked_at = now
            self._fetch()
        if not self._keys:
            raise KeysUnavailable
        if kid not in self._keys:
            raise NoValidToken("an unknown key")
        return self._keys[kid]

    def _fetch(self) -> None:
        try:
            self._keys = {str(key.key_id): key for key in self._client.get_signing_keys()}
            self._fetched_at = time.monotonic()
        except (jwt.PyJWTError, OSError, ValueError) as error:
            logger.warning("the pool's keys cannot be fetched", extra=describe(error))


class Tokens:
    """All methods take the header Authorization, with or without the word Bearer, and raise NoValidToken or
    KeysUnavailable."""

    def __init__(self, issuer: str, user_client_id: str, keys: Keys) -> None:
        self._issuer, self._user_client_id, self._keys = issuer, user_client_id, keys

    def user(self, authorization: str) -> Claims:
        """The claims of an ID token that the pool gave to the shop's own client."""
        return self._verified(authorization, "id", self._user_client_id, ["aud", "sub"])

    def service(self, authorization: str, service: str) -> Claims:
        """The claims of the access token of a service that may call `service`. Raises WrongScope."""
        claims = self._verified(authorization, "access", None, ["client_id", "scope"])
        if scope(service) not in str(claims["scope"]).split(" "):
            raise WrongScope(service)
        return claims

    def _verified(self, authorization: str, use: str, audience: str | None, required: list[str]) -> Claims:
        word, _, token = authorization.strip().rpartition(" ")
        if word.strip().lower() not in ("", "bearer"):
            raise NoValidToken("another scheme")
        try:
            key = self._keys.key(str(jwt.get_unverified_header(token).get("kid")))
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._issuer,
                audience=audience,
                options={
                    "require": ["exp", "iss", "token_use", *required],
                    "verify_aud": audience is not None,
                    "verify_iat": False,  # below, with some patience
                },
            )
        except jwt.PyJWTError as error:
            raise NoValidToken(type(error).__name__) from error
        if claims.get("iat", 0) > time.time() + CLOCK_SECONDS:
            raise NoValidToken("issued in the future")
        if claims["token_use"] != use:
            raise NoValidToken("for another use")
        return claims
