"""The one image of all services, for both architectures: built where Docker with buildx is, kept in ECR."""

import base64
import hashlib
import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from localcloud.home import REPOSITORY
from release import Refused, change, stack
from release.target import Target

PLATFORMS = "linux/amd64,linux/arm64"
SOURCES = ("ecs/Dockerfile", "requirements/container.txt", "layers/common", "services", "ecs")
LEFT_OUT = ("**/__pycache__", "**/Makefile", "**/requirements.txt", "ecs/*.yaml", "ecs/samconfig.toml")
"""As .dockerignore has it."""


def publish(target: Target) -> None:
    """Build and push the image of the sources as they are, unless that is there already."""
    change.bring_up(target, stack.application(target.environment, "ecs")[0], yes=True)
    ecr, name = target.client("ecr"), tag()
    if _digest(ecr, target.environment, name):
        print(f"{name} is there already")
        return
    uri = _uri(ecr, target.environment)
    [login] = ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(login["authorizationToken"]).decode().partition(":")
    # By its standard input: a command line is there for all to read.
    enter = ["docker", "login", "--username", user, "--password-stdin", login["proxyEndpoint"]]
    subprocess.run(enter, input=password, text=True, check=True)
    base = ["--build-arg", f"BASE={os.environ['BASE']}"] if os.environ.get("BASE") else []
    options = ["--platform", PLATFORMS, "--file", "ecs/Dockerfile", *base, "--tag", f"{uri}:{name}", "--push"]
    subprocess.run(["docker", "buildx", "build", *options, "."], cwd=REPOSITORY, check=True)


def published(target: Target) -> str:
    """The image of the sources as they are, by its digest. Raises Refused when there is none."""
    ecr, name, environment = target.client("ecr"), tag(), target.environment
    if not (digest := _digest(ecr, environment, name)):
        raise Refused(f"these sources have no image yet ({name}): make image ENV={environment}")
    return f"{_uri(ecr, environment)}@{digest}"


def tag() -> str:
    """The same for the same sources on the same base, wherever they lie."""
    sources = hashlib.sha256(os.environ.get("BASE", "").encode())
    for path in files():
        sources.update(f"\0{path}\0".encode() + (REPOSITORY / path).read_bytes())
    return sources.hexdigest()[:16]


def files() -> list[str]:
    """What the image is made of, from the project's root."""
    paths = [REPOSITORY / source for source in SOURCES]
    found = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return sorted({str(file.relative_to(REPOSITORY)) for file in found if not _left_out(file.relative_to(REPOSITORY))})


def _left_out(path: Path) -> bool:
    # As in .dockerignore, a folder that is left out takes with it what is in it.
    names = [str(path), *map(str, path.parents)]
    patterns = [p.removeprefix("**/") for p in LEFT_OUT if p.startswith("**/")]
    plain = [p for p in LEFT_OUT if not p.startswith("**/")]
    return any(part in patterns for part in path.parts) or any(fnmatch(n, p) for n in names for p in plain)


def _digest(ecr: Any, environment: str, name: str) -> str | None:
    try:
        found = ecr.describe_images(repositoryName=f"kumiki-{environment}", imageIds=[{"imageTag": name}])
    except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
        return None
    return str(found["imageDetails"][0]["imageDigest"])


def _uri(ecr: Any, environment: str) -> str:
    [repository] = ecr.describe_repositories(repositoryNames=[f"kumiki-{environment}"])["repositories"]
    return str(repository["repositoryUri"])
