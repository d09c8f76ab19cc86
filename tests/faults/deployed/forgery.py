"""Tokens that must not count, made from one that does.

The emulator keeps the pool's signing key in a file: with it, tokens are made whose only fault is the one that they are
named after. One that is `renewed` without a fault counts, which shows that the others fail for theirs.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localcloud import ministack
from localcloud.home import Home
from localcloud.stack import Stack

Json = dict[str, Any]


def parts(token: str) -> tuple[Json, Json, str]:
    """Header, claims, signature."""
    header, claims, signature = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims)), signature


def encoded(part: bytes | Json) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def pool_key(home: Home, stack: Stack, use: str = "id") -> rsa.RSAPrivateKey:
    """`use`: of the tokens that are signed with it, id or access."""
    file = ministack.state(home) / "cognito-pool-keys" / f"{stack.user_pool_id}-{use}.pem"
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def signed(header: Json, claims: Json, key: rsa.RSAPrivateKey) -> str:
    content = f"{encoded(header)}.{encoded(claims)}"
    return f"{content}.{encoded(key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def signed_with_the_public_key(token: str, key: rsa.RSAPrivateKey, form: serialization.PublicFormat) -> str:
    """As HS256, with what everybody can read as its secret."""
    header, claims, _ = parts(token)
    secret = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    content = f"{encoded(header | {'alg': 'HS256'})}.{encoded(claims)}"
    return f"{content}.{encoded(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


def renewed(token: str, key: rsa.RSAPrivateKey, **changes: Any) -> str:
    """The token with other claims, signed as the pool would."""
    header, claims, _ = parts(token)
    return signed(header, claims | changes, key)


NOBODY = "01990000-0000-7000-8000-000000000000"
HOUR = 3600
FORGERIES: dict[str, Callable[[str, rsa.RSAPrivateKey], str]] = {
    "alg none": lambda token, key: f"{encoded(parts(token)[0] | {'alg': 'none'})}.{encoded(parts(token)[1])}.",
    "HS256 with the public key": lambda token, key: signed_with_the_public_key(
        token, key, serialization.PublicFormat.SubjectPublicKeyInfo
    ),
    "HS256 with the public key, PKCS 1": lambda token, key: signed_with_the_public_key(
        token, key, serialization.PublicFormat.PKCS1
    ),
    "other issuer": lambda token, key: renewed(token, key, iss="https://cognito-idp.example.com/ap-northeast-1_other"),
    "other key": lambda token, key: signed(*parts(token)[:2], rsa.generate_private_key(65537, 2048)),
    "expired": lambda token, key: renewed(token, key, exp=int(time.time()) - 1),
    "not yet valid": lambda token, key: renewed(token, key, nbf=int(time.time()) + HOUR),
    "issued in the future": lambda token, key: renewed(token, key, iat=int(time.time()) + HOUR),
    "no use named": lambda token, key: renewed(token, key, token_use=None),
    "tampered: another customer": lambda token, key: _tampered(token, sub=NOBODY),
    "tampered: longer": lambda token, key: _tampered(token, exp=int(time.time()) + 1_000_000),
    "tampered: staff": lambda token, key: _tampered(token, **{"cognito:groups": ["staff", "more"]}),
    "cut short": lambda token, key: token.rpartition(".")[0],
    "empty": lambda token, key: "",
    "null": lambda token, key: "null",
    "letters": lambda token, key: "a.b.c",
    "dots": lambda token, key: "..",
}


def _tampered(token: str, **changes: Any) -> str:
    header, claims, signature = parts(token)
    return f"{encoded(header)}.{encoded(claims | changes)}.{signature}"
