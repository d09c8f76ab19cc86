"""The way in, in the place of API Gateway, VPC link and load balancer: paths of the public API, and no others."""

from localcloud.ecs import network
from localcloud.ecs.graph import FRONT_DOOR, PORT
from localcloud.ecs.proxy import Proxy
from localcloud.home import Home
from localcloud.stack import SERVICES

NAME = "front-door"
URL = f"http://{FRONT_DOOR}:{PORT}"
PATHS = {
    "/products": "catalog",
    "/stock": "inventory",
    "/orders": "orders",
    "/payments": "payments",
    "/shipments": "shipping",
} | {f"/health/{service}": service for service in SERVICES}
"""By the beginning of a path, who answers."""
BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's limit."""
PROBLEM = """
    http-request return status {status} content-type application/problem+json \
string '{{"type":"about:blank","title":"{title}","status":{status}}}' if {condition}"""


def start(home: Home) -> Proxy:
    """Raises TimeoutError."""
    network.attach(NAME, FRONT_DOOR)
    lines = [f"frontend {NAME}", f"    bind {FRONT_DOOR}:{PORT}", "    option forwardfor"]
    lines += [f"    acl {service} path {path}\n    acl {service} path_beg {path}/" for path, service in PATHS.items()]
    unknown = " ".join(f"!{service}" for service in SERVICES)
    lines += [PROBLEM.format(status=403, title="Forbidden", condition=unknown)]
    lines += [
        PROBLEM.format(
            status=413, title="Content Too Large", condition=f"{{ req.hdr_val(content-length) gt {BODY_BYTES} }}"
        )
    ]
    lines += ["    http-request set-header X-Request-Id %[uuid()]"]  # whatever the caller says it is
    lines += [f"    use_backend {service} if {service}" for service in SERVICES]
    proxy = Proxy(home, NAME, SERVICES, "\n".join(lines))
    proxy.start(network.inside(NAME, network.name_files(home.root / "etc" / NAME), *proxy.command()))
    return proxy
