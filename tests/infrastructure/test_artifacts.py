"""What `sam build` leaves of every function and the layer: not larger than it was meant to be, nor with more to import.

For this machine, and, where a Python 3.13 runs, for arm64 and 3.13 as `make build ENV=prod` has it.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest

from localcloud import sam
from localcloud.home import Home, child_environment
from tests.infrastructure.templates import ROOT, load

RESOURCES = load("template.yaml")["Resources"]
FUNCTIONS = sorted(name for name, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::Function")
SERVING = [name for name in FUNCTIONS if name != "Migrator"]
LAYER_BYTES, FUNCTION_BYTES = 4 * 1024 * 1024, 40 * 1024
FORBIDDEN = {"pydantic", "aws_xray_sdk", "sqlalchemy", "cryptography", "boto3"}

# Modules imported before the first request. Of packages that are pinned, how many; jmespath is part of the runtime too.
LIBRARIES = {
    "aws_lambda_powertools": 40,
    "botocore": 1,
    "jmespath": 8,
    "msgspec": 12,
    "pymysql": 17,
    "typing_extensions": 1,
}
COMMON = """__init__ bus configuration connection database events http iam_token observability operation outbox requests
    routing sigv4 values"""
ALSO = {  # beside those, and their own service's
    **dict.fromkeys(["OrdersApi", "PaymentsApi"], "idempotency"),
    **{name: "consumer" for name in FUNCTIONS if name.endswith("Consumer")},
}
WITHOUT_HTTP = ["CatalogConsumer", "InventoryConsumer", "NotificationsConsumer"]
LESS = {
    **dict.fromkeys(WITHOUT_HTTP, "http operation requests routing"),
    "NotificationsApi": "requests",
}
STANDARD = set(  # by Python 3.11 to 3.13
    """array ast atexit base64 binascii bisect collections configparser contextlib contextvars copy dataclasses datetime
    decimal dis errno fnmatch gc genericpath getpass glob grp gzip hashlib hmac importlib inspect ipaddress linecache
    logging math ntpath numbers opcode os pathlib platform posixpath pwd random secrets select selectors socket ssl stat
    string struct termios textwrap threading token tokenize traceback typing urllib uuid warnings weakref
    zlib""".split()
)
OF_MAILS = {"calendar", "email", "html", "locale", "quopri"}


class Built(NamedTuple):
    folder: Path
    python: str
    """One of the target's version."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("host")
    sam.build(Home(folder / "home"), folder)
    return Built(folder / "build", sys.executable)


@pytest.fixture(scope="module", params=["local", "prod"])
def built(request: pytest.FixtureRequest, host: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    if request.param == "local":
        yield host
        return
    python = python_313()
    if python is None:
        pytest.skip("no Python 3.13 runs here")
    folder = tmp_path_factory.mktemp("prod")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", str(Path(python).parent), prepend=":")
        sam.build(Home(folder / "home"), folder, "prod")
    yield Built(folder / "build", python)


def python_313() -> str | None:
    """On the PATH, or among those of pyenv."""
    found = [shutil.which("python3.13"), *map(str, Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13"))]
    return next((python for python in found if python and _runs(python)), None)


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


FAULTS = """
import importlib.util, pathlib, sys
known = set()
for source in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    compiled = pathlib.Path(importlib.util.cache_from_source(source))
    header = compiled.read_bytes()[:16] if compiled.exists() else b""
    known.add(compiled)
    never_checked = (0b01).to_bytes(4, "little")  # PEP 552: by hash of the source, which nobody looks at
    if header != importlib.util.MAGIC_NUMBER + never_checked + importlib.util.source_hash(source.read_bytes()):
        print(source)
print(*set(pathlib.Path(sys.argv[1]).rglob("*.pyc")) - known, sep="\\n")
"""


@pytest.mark.parametrize("artifact", ["CommonLayer", *SERVING])
def test_all_bytecode_is_there_of_the_targets_version_of_this_source_and_never_checked(
    built: Built, artifact: str
) -> None:
    assert list((built.folder / artifact).rglob("*.py"))
    command = [built.python, "-c", FAULTS, str(built.folder / artifact)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []


@pytest.mark.parametrize("artifact", ["CommonLayer", *FUNCTIONS])
def test_an_artifact_is_small(built: Built, artifact: str) -> None:
    assert zipped(built.folder / artifact) <= (LAYER_BYTES if artifact == "CommonLayer" else FUNCTION_BYTES)


def zipped(folder: Path) -> int:
    """Bytes, as SAM CLI uploads it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return len(content.getvalue())


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda itself has for functions to import: boto3 and what that needs."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six.py"):
        (folder / name).symlink_to(Path(boto3.__file__).parent.parent / name)
    return folder


def imported(host: Built, runtime: Path, function: str, *then: str) -> list[str]:
    """What a fresh interpreter has imported after a function was, and after some more lines of code."""
    service = function.removesuffix("Api").removesuffix("Consumer").lower()
    module = f"{service}.{function.lower().removeprefix(service)}"
    lines = ["import sys, json; before = set(sys.modules)", f"import {module}", *then]
    program = "\n".join([*lines, "print(json.dumps(sorted(set(sys.modules) - before)))"])
    path = ":".join(map(str, [host.folder / function, host.folder / "CommonLayer" / "python", runtime]))
    settings = {"PYTHONPATH": path, "POWERTOOLS_SERVICE_NAME": service, "POWERTOOLS_METRICS_NAMESPACE": "Kumiki"}
    # -S: nothing of this test's own environment, where cryptography is, and pydantic
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, env=child_environment(**settings, **AWS), check=True, capture_output=True, text=True)
    return list(map(str, json.loads(done.stdout.splitlines()[-1])))


AWS = {
    "SERVICE": "orders",
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_PORT": "9",  # nobody is there
    "EVENT_BUS": "kumiki-test",
    "AWS_REGION": "ap-northeast-1",
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "MAIL_SENDER": "shop@example.com",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def top(names: Sequence[str]) -> Counter[str]:
    return Counter(name.partition(".")[0] for name in names)


@pytest.mark.parametrize("function", SERVING)
def test_before_its_first_request_a_function_imports_what_it_is_known_to_and_nothing_else(
    host: Built, runtime: Path, function: str
) -> None:
    names = imported(host, runtime, function)
    packages = top(names)
    assert not FORBIDDEN & packages.keys()
    known = set(COMMON.split()) - set(LESS.get(function, "").split()) | set(ALSO.get(function, "").split())
    assert {name.partition(".")[2] or "__init__" for name in names if name.partition(".")[0] == "common"} == known
    service = function.removesuffix("Api").removesuffix("Consumer").lower()
    of_libraries = {
        name: count
        for name, count in packages.items()
        if name not in sys.stdlib_module_names and name not in ("common", service)
    }
    assert of_libraries == LIBRARIES
    standard = {name for name in packages.keys() & sys.stdlib_module_names if not name.startswith("_")}
    assert standard <= STANDARD | (OF_MAILS if function == "NotificationsConsumer" else set())


SEND = """
from uuid import uuid4
from common import bus
from common.events import Sealed
try:
    list(bus.put([Sealed(uuid4(), "LampLit", "{}")]))
except Exception as error:
    assert type(error).__name__ == "BusUnavailable", error
"""
ASK = """
from common.connection import DatabaseUnavailable, kept
try:
    kept().one("SELECT 1")
except DatabaseUnavailable:
    pass
"""
MAIL = """
from notifications.domain import Letter
from notifications.mailer import MailerUnavailable
from notifications.ses import Ses
try:
    Ses().send("a@b.example", Letter("s", "t", "h"), "story")
except MailerUnavailable:
    pass
"""


def of_aws(names: Sequence[str]) -> set[str]:
    """AWS's clients of which more was imported than the name: Powertools looks whether botocore is there."""
    return {name.partition(".")[0] for name in names if name.startswith(("boto3", "botocore."))}


@pytest.mark.parametrize("function", SERVING)
def test_no_client_of_aws_is_imported_before_there_is_something_to_send_nor_what_takes_its_place(
    host: Built, runtime: Path, function: str
) -> None:
    names = imported(host, runtime, function)
    assert of_aws(names) == set()
    assert "http.client" not in names


@pytest.mark.parametrize("function", ["OrdersApi", "OrdersConsumer"])
@pytest.mark.parametrize(("work", "more"), [(ASK, set()), (SEND, {"common.event_bridge"})], ids=["ask", "send"])
def test_who_asks_the_database_or_sends_an_event_imports_next_to_nothing_for_it(
    host: Built, runtime: Path, function: str, work: str, more: set[str]
) -> None:
    assert set(imported(host, runtime, function, work)) - set(imported(host, runtime, function)) == more


def test_a_mail_is_sent_by_botocore_which_is_imported_then(host: Built, runtime: Path) -> None:
    assert of_aws(imported(host, runtime, "NotificationsConsumer", MAIL)) == {"botocore"}


_CLIENT = re.compile(r"^ *(import|from) (boto3|botocore)", re.MULTILINE)


def test_nobody_else_imports_one() -> None:
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    users = {str(path.relative_to(ROOT)) for path in sources if _CLIENT.search(path.read_text(encoding="utf-8"))}
    assert users == {"layers/common/migrator.py", "services/notifications/ses.py"}
