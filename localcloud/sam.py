"""`sam build` and `sam deploy` of the real template.yaml, for this machine's own Python and processor."""

import hashlib
import os
import platform
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

from localcloud import cloudformation, programs
from localcloud.aws import client, credentials
from localcloud.home import REGION, REPOSITORY, Home, child_environment, virtual_environment
from localcloud.mariadb import Server

CONFIGURATION = REPOSITORY / "samconfig.toml"
BUCKET = "kumiki-local-artifacts"
# What the makefiles of functions and layer read, and the parameters of the template that must agree with it.
TARGET = {
    "PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
    "ARCHITECTURE": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
}
PARAMETERS = [f"PythonRuntime=python{TARGET['PYTHON_VERSION']}", f"Architecture={TARGET['ARCHITECTURE']}"]


def build(home: Home, folder: Path, environment: str = "local", tree: Path = REPOSITORY) -> None:
    """Build what changed into `folder`: for this machine, or for another environment of samconfig.toml.
    `tree` is where template.yaml is. For AWS it has bytecode, or is not built. Raises CommandFailed."""
    target, options = {"BYTECODE": "required"}, []
    if environment == "local":
        target, options = TARGET, ["--parameter-overrides", *PARAMETERS]
    # SAM's cache looks neither at the target nor at the makefiles, so there is one for each state of them.
    makefiles = b"".join(file.read_bytes() for file in sorted(REPOSITORY.glob("*/**/Makefile")))
    state = hashlib.sha256(makefiles + str(target).encode()).hexdigest()[:16]
    folders = [f"--build-dir={folder / 'build'}", f"--cache-dir={folder / 'cache' / state}"]
    _sam(
        home,
        target,
        "build",
        f"--config-env={environment}",
        f"--template-file={tree / 'template.yaml'}",
        *folders,
        *options,
    )


def deploy(home: Home, folder: Path, database: Server, tree: Path = REPOSITORY) -> None:
    """Create or update the stack from a build. `tree` is where its samconfig.toml is.
    Raises CommandFailed, and Unsettled while somebody else deploys."""
    cloudformation.settle(home)
    s3 = client(home, "s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    # What stands on the command line replaces what stands in samconfig.toml, which is therefore repeated.
    configured = tomllib.loads((tree / CONFIGURATION.name).read_text())["local"]["deploy"]["parameters"]
    own = [f"DatabasePassword={home.settings.service_password}", f"DatabaseCaFile={database.ca_file}"]
    options = ["--config-env=local", f"--template-file={folder / 'build' / 'template.yaml'}", f"--s3-bucket={BUCKET}"]
    options.append(f"--stack-name={configured['stack_name']}")
    overrides = [*configured["parameter_overrides"], *PARAMETERS, *own]
    _sam(home, {}, "deploy", *options, "--parameter-overrides", *overrides)


def invoke(home: Home, folder: Path, function: str, event: Path, variables: Path) -> str:
    """What a built function prints and answers in a container, which shares this machine's network.
    Raises CommandFailed."""
    options = [f"--template-file={folder / 'build' / 'template.yaml'}", f"--event={event}", f"--env-vars={variables}"]
    _sam(home, {}, "local", "invoke", function, *options, "--docker-network=host")
    return home.log("sam-local").read_text()


def _sam(home: Home, variables: dict[str, str], command: str, *options: str) -> None:
    # The makefiles call `python3 -m pip`, which this environment has for certain.
    path = f"{virtual_environment('tools') / 'bin'}:{os.environ['PATH']}"
    settings = {"PATH": path, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"}
    environment = child_environment(**settings, **variables, **credentials(home))
    sam = virtual_environment("sam") / "bin" / "sam"
    programs.run(home, f"sam-{command}", [sam, command, *options, f"--config-file={CONFIGURATION}"], environment)
