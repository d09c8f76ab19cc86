"""A user pool of a test's own: signs tokens with keys that it made, shows the public ones, and gives tokens to services
that know their secret."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://cognito-idp.ap-northeast-1.amazonaws.com/ap-northeast-1_Test"
USERS = "client-of-users"
SECRET = "secret-of-every-service"


@cache
def key(kid: str = "key-1") -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Identity:
    """Where it listens, and what it was asked for. `kids` are the keys that it shows; away, it answers 503."""

    url: str
    kids: list[str] = field(default_factory=lambda: ["key-1"])
    issuer: str = ISSUER
    away: bool = False
    keys_asked: int = 0
    tokens_asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a service must be told to trust it, and to be given tokens as the client of that name."""
        return {
            "TOKEN_ISSUER": self.issuer,
            "JWKS_URL": f"{self.url}/jwks.json",
            "USER_CLIENT_ID": USERS,
            "TOKEN_URL": f"{self.url}/token",
            "CLIENT_SECRET": SECRET,
        }

    def user(self, sub: str, *groups: str, kid: str = "key-1", **claims: Any) -> str:
        """An ID token. Claims that are None are left out."""
        usual = {"token_use": "id", "aud": USERS, "sub": sub, "cognito:username": sub}
        email = {"email": f"{sub}@shop.example", "email_verified": True}
        return self._signed({**usual, **email, **({"cognito:groups": list(groups)} if groups else {}), **claims}, kid)

    def service(self, caller: str, callee: str, kid: str = "key-1", **claims: Any) -> str:
        """An access token with which one service may call another."""
        usual = {"token_use": "access", "client_id": caller, "sub": caller, "scope": f"shop.internal/{callee}"}
        return self._signed({**usual, **claims}, kid)

    def _signed(self, claims: Mapping[str, Any], kid: str) -> str:
        now = int(time.time())
        every = {"iss": self.issuer, "iat": now, "exp": now + 3600, "jti": str(uuid4()), **claims}
        known = {name: value for name, value in every.items() if value is not None}
        return jwt.encode(known, key(kid), "RS256", headers={"kid": kid})

    def jwks(self) -> dict[str, Any]:
        keys = [RSAAlgorithm.to_jwk(key(kid).public_key(), as_dict=True) for kid in self.kids]
        return {
            "keys": [
                {**shown, "kid": kid, "use": "sig", "alg": "RS256"} for shown, kid in zip(keys, self.kids, strict=True)
            ]
        }

    def grant(self, authorization: str, form: Mapping[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Client credentials as Cognito takes them: in the header, or in the form."""
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        client, _, secret = given.partition(":")
        client, secret = form.get("client_id", [client])[0], form.get("client_secret", [secret])[0]
        scope = form.get("scope", [""])[0]
        self.tokens_asked.append(scope)
        if form.get("grant_type") != ["client_credentials"] or secret != SECRET:
            return 400, {"error": "invalid_client"}
        return 200, {
            "access_token": self.service(client, scope.removeprefix("shop.internal/")),
            "expires_in": 3600,
            "token_type": "Bearer",
        }


@contextmanager
def identity() -> Iterator[Identity]:
    """One that listens on loopback for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pool.keys_asked += 1
            self.answer(200, pool.jwks())

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(*pool.grant(self.headers.get("Authorization", ""), form))

        def answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(503 if pool.away else status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"?" * len(content) if pool.away else content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pool = Identity(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield pool
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
