"""The page of the API reference: swagger-ui over docs/openapi.yaml, in a process of its own beside the others.

What is tried out on it goes to the API through this server: a browser would not show an answer of another origin.
"""

import json
import mimetypes
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import urllib3
import yaml  # type: ignore[import-untyped]

from localcloud import programs
from localcloud.home import REPOSITORY, Home, child_environment
from localcloud.stack import Stack

NAME = "reference"
HTTP = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=35), retries=False)
FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
FORWARDED = ("Authorization", "Content-Type", "Idempotency-Key", "Accept-Language")
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Kumiki: API reference</title>
<link rel="stylesheet" href="/swagger-ui.css"><link rel="icon" href="/favicon-32x32.png">
</head>
<body>
<div id="page"></div>
<script src="/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "/openapi.json", dom_id: "#page", validatorUrl: null, deepLinking: true, docExpansion: "list"})
</script>
</body>
</html>
"""


def url(home: Home) -> str:
    return f"http://127.0.0.1:{home.settings.reference_port}"


def start(home: Home) -> None:
    """Raises TimeoutError."""
    programs.start(home, NAME, [sys.executable, "-B", "-m", "localcloud.page", home.root], child_environment())
    programs.wait(home, NAME, lambda: answers(home))


def answers(home: Home) -> bool:
    try:
        return HTTP.request("GET", f"{url(home)}/").status == 200
    except urllib3.exceptions.HTTPError:
        return False


class Handler(BaseHTTPRequestHandler):
    home: Home

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].removeprefix("/")
        if name.startswith("api/"):
            self.forward()
        elif name == "":
            self.answer(200, "text/html; charset=utf-8", PAGE.encode())
        elif name == "openapi.json":
            self.answer(200, "application/json", document())
        elif name in FILES:
            self.answer(200, mimetypes.guess_type(name)[0] or "", (assets() / name).read_bytes())
        else:
            self.answer(404, "text/plain", b"there is no such page")

    def forward(self) -> None:
        """To the API as it runs now: a deploy may have moved it."""
        address = Stack.load(self.home).api_url + self.path.removeprefix("/api")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
        answer = HTTP.request(self.command, address, body=body or None, headers=headers)
        self.answer(answer.status, answer.headers.get("Content-Type", "application/json"), answer.data)

    do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815, names that http.server looks for

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def document() -> bytes:
    """The reference, with this server in the place of API Gateway."""
    described = yaml.safe_load((REPOSITORY / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    return json.dumps(described | {"servers": [{"url": "/api", "description": "The local cloud"}]}).encode()


def assets() -> Path:
    """The package is for Flask, of which nothing is needed here, and therefore not imported."""
    package = find_spec("flask_swagger_ui")
    assert package
    assert package.origin
    return Path(package.origin).parent / "dist"


if __name__ == "__main__":
    Handler.home = Home(Path(sys.argv[1]))
    ThreadingHTTPServer(("127.0.0.1", Handler.home.settings.reference_port), Handler).serve_forever()
