"""The container's health check: `python -m ecs.probe` ends with status 0 when the server can serve, else with 1."""

import http.client
import os
import sys

SECONDS = 4.0  # the health check's own time-out is 5


def healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))) else 1)
