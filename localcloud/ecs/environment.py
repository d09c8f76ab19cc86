"""What a task is told: settings and secrets of its own service, and of no other."""

import os

from localcloud import aws
from localcloud.ecs.pool import UserPool
from localcloud.home import REGION, REPOSITORY, Home
from localcloud.mariadb import Server
from localcloud.platform_stacks import MAIL_DOMAIN

LAME_SECONDS = 2
"""Names are asked for at every call here; on AWS, answers live for ten seconds."""
USES_AWS = ("notifications",)
"""Services that call AWS itself; the credentials are what a task role supplies."""


def of(service: str, home: Home, database: Server, pool: UserPool, workers: int) -> dict[str, str]:
    client_id, secret = pool.callers.get(service, ("", ""))
    own = {
        "SERVICE": service,
        "WORKERS": str(workers),
        "LAME_SECONDS": str(LAME_SECONDS),
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_PASSWORD": home.settings.service_password,
        "DATABASE_CA_FILE": str(database.ca_file),
        "AWS_REGION": REGION,
        "POWERTOOLS_SERVICE_NAME": service,
        "POWERTOOLS_METRICS_NAMESPACE": "Kumiki/local",
        "TOKEN_ISSUER": pool.issuer,
        "JWKS_URL": f"{home.endpoint_url}/{pool.user_pool_id}/.well-known/jwks.json",
        "USER_CLIENT_ID": pool.client_id,
        "TOKEN_URL": f"{home.endpoint_url}/oauth2/token",
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": secret,
        "MAIL_SENDER": f"Kumiki <shop@{MAIL_DOMAIN}>",
    }
    where = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(str(REPOSITORY / folder) for folder in ("services", "layers", ".")),
        # Modules are compiled once, and not beside the sources.
        "PYTHONPYCACHEPREFIX": str(home.root / "compiled"),
    }
    return own | where | (aws.credentials(home) if service in USES_AWS else {})
