"""Tokens that identify this service to its neighbours: OAuth 2 client credentials, one token per neighbour."""

import math
import time
from functools import cache
from typing import NamedTuple

import msgspec
import urllib3

from common.connection import left
from common.observability import count, describe, logger
from ecs.runtime.settings import scope, settings

EARLY_SECONDS = 60  # before its end a token is fetched anew
PAUSE_SECONDS = 5  # before an issuer that is away is asked again, whether or not there is a token that will do
UNDERWAY_SECONDS = 5  # a token with less than this left may end before it is looked at


class TokenUnavailable(Exception):
    """The issuer cannot be reached or gives no token, and none is kept."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float


class _Kept(NamedTuple):
    token: str
    due: float
    ends: float


_NONE = _Kept("", due=-math.inf, ends=-math.inf)
_kept: dict[str, _Kept] = {}


def token(service: str) -> str:
    """A token that `service` takes. Raises TokenUnavailable, TimeoutError."""
    kept = _kept.get(service, _NONE)
    if time.monotonic() >= kept.due:
        try:
            kept = _fetch(scope(service))
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as error:
            count("ServiceTokensUnavailable")
            logger.warning("no new service token", extra={"neighbour": service, **describe(error)})
            kept = _Kept(kept.token, time.monotonic() + PAUSE_SECONDS, kept.ends)
        _kept[service] = kept
    if time.monotonic() >= kept.ends:
        raise TokenUnavailable(f"no token for {service}")
    return kept.token


def refused(service: str) -> None:
    """The token that is kept is not taken: the next call needs another."""
    _kept.pop(service, None)


def _fetch(wanted: str) -> _Kept:
    config, asked_at = settings(), time.monotonic()
    answer = _http().request(
        "POST",
        config.token_url,
        fields={"grant_type": "client_credentials", "scope": wanted},
        headers=urllib3.make_headers(basic_auth=f"{config.client_id}:{config.client_secret}"),
        encode_multipart=False,
        redirect=False,
        timeout=urllib3.Timeout(connect=min(1, left() / 2), read=min(2, left() / 2)),
    )
    if answer.status != 200:
        raise urllib3.exceptions.HTTPError(f"status {answer.status}")
    given = msgspec.json.decode(answer.data, type=_Answer)
    ends = asked_at + given.expires_in
    return _Kept(given.access_token, ends - min(EARLY_SECONDS, given.expires_in / 2), ends - UNDERWAY_SECONDS)


@cache
def _http() -> urllib3.PoolManager:
    # Asked for 60 s of patience by Retry-After, it would sleep for so long.
    again = urllib3.Retry(
        1, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None, respect_retry_after_header=False
    )
    return urllib3.PoolManager(retries=again)
