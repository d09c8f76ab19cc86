"""The password of an IAM database user: a presigned `rds-db:connect` request, made without boto3.

It is a SigV4 query signature over an empty GET (Amazon RDS User Guide, "IAM database authentication").
"""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from common.sigv4 import credentials, digest, signature

LIFETIME_SECONDS = 900


def token(host: str, port: int, user: str, region: str, now: datetime | None = None) -> str:
    """A password for `user` at `host`, good for connecting within the next 15 minutes."""
    access_key, secret_key, session_token = credentials()
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/rds-db/aws4_request"
    query = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(LIFETIME_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if session_token:
        query["X-Amz-Security-Token"] = session_token
    signed = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    request = f"GET\n/\n{signed}\nhost:{host}:{port}\n\nhost\n{digest(b'')}"
    made = signature(secret_key, moment, scope, request)
    return f"{host}:{port}/?{urlencode(query, quote_via=quote, safe='-_.~')}&X-Amz-Signature={made}"
