"""The commands of the README, run as a newcomer types them, on a local cloud of their own. In the order of the file."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import cloud, ministack, programs, sam, servers, users
from localcloud import shop as samples
from localcloud.api import Api
from localcloud.home import REPOSITORY, Home
from localcloud.stack import Stack as Running
from release import Refused, change, front_door, protection
from release.stack import Stack
from release.target import Target

HOME = Home(REPOSITORY / ".local" / "test-commands")
ENVIRONMENT = os.environ | {"KUMIKI_HOME": str(HOME.root)}
SETTINGS: Any = {"cwd": REPOSITORY, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 300}
STORY = re.compile(r"(\d+\.\d\d) s  (\w+) +by (\w+)")


def make(*arguments: str) -> str:
    command = ["make", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def from_nothing() -> Iterator[None]:
    cloud.down(HOME)
    shutil.rmtree(HOME.root, ignore_errors=True)
    yield
    cloud.down(HOME)


@pytest.fixture(scope="module")
def first_run(from_nothing: None) -> str:
    return make("run")


def processes() -> set[str]:
    """The command lines of what runs out of this home."""
    lines = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return {line for line in lines if str(HOME.root) in line}


def orders_of_alice(printed: str) -> list[str]:
    """By the very `curl` that was printed."""
    [command] = re.findall(r"curl .*", printed)
    answer = subprocess.run(
        ["bash", "-c", command],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [order["order_id"] for order in json.loads(answer.stdout)["items"]]


def test_orders_are_played_to_every_end(first_run: str) -> None:
    told = [(float(seconds), status, service) for seconds, status, service in STORY.findall(first_run)]
    story = [f"{status} by {service}" for _, status, service in told]
    paid = ["placed by orders", "reserved by inventory", "confirmed by payments"]
    parcel = ["shipped by shipping", "delivered by shipping"]
    assert story[:8] == [*paid, *parcel, "placed by orders", "rejected by inventory", "placed by orders"]
    declined = story[8:-5]  # the refusal of a payment may overtake its reservation
    assert declined in (["rejected by payments"], ["reserved by inventory", "rejected by payments"])
    assert story[-5:] == [*paid, "cancelling by orders", "cancelled by shipping"]
    assert "payment: refunded" in first_run
    assert told[2][0] <= 60, "the deadline of an order"


def test_the_curl_works_as_printed(first_run: str) -> None:
    assert len(orders_of_alice(first_run)) == 2


def test_what_all_functions_share_is_unpacked_once(first_run: str) -> None:
    """Or twenty cold starts at once, as of twenty orders, take the emulator ten seconds."""
    layers = [folder.resolve() for folder in ministack.scratch(HOME).glob("ministack-lambda-*/layer_0/python")]
    assert len(layers) >= 12
    assert len(set(layers)) == 1


def test_a_token_comes_alone(first_run: str) -> None:
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", make("token", "USER=alice"))


def test_a_token_of_nobody_says_who_there_is(first_run: str) -> None:
    for arguments in (["USER=root"], ["USER="]):
        done = subprocess.run(
            ["make", "token", *arguments], cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert "USER= and one of alice, bob, staff" in done.stderr


def test_a_function_is_invoked_with_a_sample_event(first_run: str) -> None:
    assert '"statusCode": 200' in make("invoke", "FUNCTION=CatalogApi", "EVENT=list_products")
    assert '"statusCode": 422' in make("invoke", "FUNCTION=OrdersApi", "EVENT=place_order"), "no such product"


def test_the_runbooks_commands_work_as_they_stand(first_run: str) -> None:
    order_id = orders_of_alice(first_run)[-1]
    variables = {"ORDER": order_id, "CUSTOMER": "nobody"}
    told = {}
    for command in [command for command in runbook() if "ENV=" not in command]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=REPOSITORY,
            env=ENVIRONMENT | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        told[command] = (done.returncode, done.stdout + done.stderr)
    codes = {command: code for command, (code, _) in told.items()}
    replays = [command for command in told if command.startswith("make replay")]
    assert codes == dict.fromkeys(told, 0) | dict.fromkeys(replays, 2), told  # make's own for whatever failed
    assert all("has no archive" in told[command][1] for command in replays)
    assert len(re.findall(r"request .*status=202|event=OrderPlaced", told["make logs ORDER=$ORDER"][1])) > 2
    assert "orders: no dead letters" in told["make redrive YES=1"][1]
    assert told["make reconcile"][1].endswith(" 0 differences\n")


def runbook() -> list[str]:
    """The commands of docs/operations.md, but for those that are AWS's own."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (REPOSITORY / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\\\n\s*", "", "".join(blocks)).splitlines()  # a command may go on in the next line
    return [line for line in lines if line and not line.startswith("aws ")]


def test_what_the_runbook_does_on_aws_ends_at_once_where_there_are_no_credentials(tmp_path: Path) -> None:
    """Its arguments are taken, and nothing has happened yet."""
    nobody = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    nobody |= {"EMAIL": "who@example.com", "REPOSITORY": "owner/name"}
    commands = [command for command in runbook() if "ENV=" in command]
    assert {command.split()[1] for command in commands} == {"deploy", "smoke", "destroy"}
    for command in [*commands, "make image ENV=dev", "make deploy ENV=dev DESIGN=ecs YES=1 ENDPOINTS=1"]:
        done = subprocess.run(["bash", "-c", command], env=nobody, **SETTINGS)
        assert done.returncode == 2, command
        assert "no AWS credentials were found" in done.stderr, command
        assert "Traceback" not in done.stderr


def test_what_is_asked_of_nobody_is_an_error(first_run: str) -> None:
    asked = [["logs", "ORDER=unknown-order"], ["consumer", "NAME=moon", "TURN=off"], ["consumer", "NAME=orders"]]
    for arguments in [*asked, ["replay", "CONSUMER=orders", "FROM=yesterday"], ["redrive", "ENV=moon"]]:
        done = subprocess.run(
            ["make", *arguments], cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def before(first_run: str) -> list[str]:
    return orders_of_alice(first_run)


@pytest.fixture(scope="module")
def second_run(before: list[str]) -> str:
    """After the shop was stocked up, and both servers were killed."""
    staff = staff_of_the_shop()
    lamp = samples.find(staff, "Shoji lamp")
    staff.expect(200, "PUT", f"/stock/{lamp['product_id']}", {"on_hand": 1000})
    for number in range(100):
        new = {"name": f"Print {number}", "price": {"amount": 800, "currency": "JPY"}}
        staff.expect(201, "POST", "/products", new)
    for name in ("mariadb", "ministack"):
        process = programs.pid(HOME, name)
        assert process
        os.kill(process, signal.SIGKILL)
    return make("run")


def staff_of_the_shop() -> Api:
    running = Running.load(HOME)
    return Api(running.api_url, users.id_token(HOME, running, "staff"))


def test_what_was_killed_is_named_and_brought_back_with_its_data(before: list[str], second_run: str) -> None:
    for name in ("MariaDB", "MiniStack"):
        assert re.search(rf"{name} .* was killed", second_run), second_run
    assert orders_of_alice(second_run)[-len(before) :] == before


def test_orders_are_played_whatever_was_added_to_products_and_stock(second_run: str) -> None:
    assert "rejected   by inventory (out of stock" in second_run
    lamps = staff_of_the_shop().get("/products?q=Shoji%20lamp")["items"]
    assert len(lamps) == 1


STACK = {"StackName": "kumiki-local"}


def shop(**changed: str) -> Stack:
    """The stack of `make run`, as `make deploy` takes one."""
    database = servers.database_of(HOME)
    own = {"DatabasePassword": HOME.settings.service_password, "DatabaseCaFile": str(database.ca_file), **changed}
    built = HOME.root / "sam" / "build" / "template.yaml"
    stack = Stack("local", built, sam.CONFIGURATION, (f"--s3-bucket={sam.BUCKET}",), tuple(sam.PARAMETERS))
    return stack.given(**own)


def test_smoke_plays_an_order(first_run: str) -> None:
    printed = make("smoke")
    story = [status for _, status, _ in STORY.findall(printed)]
    assert story == ["placed", "reserved", "confirmed", "cancelling", "cancelled"]
    assert "payment: refunded" in printed


def test_a_stack_that_is_as_it_should_be_is_left_alone_and_one_that_is_not_is_changed(
    first_run: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUMIKI_HOME", str(HOME.root))
    before = change_sets()
    assert not change.bring_up(Target("local"), shop(), yes=True)
    assert "is as it should be" in capfd.readouterr().out
    assert change_sets() == before, "SAM leaves those without a change, of which a stack takes a thousand"
    with pytest.raises(Refused, match="stays as it is"):
        change.bring_up(Target("local"), shop(LogLevel="WARNING"), yes=False)
    assert re.search(r"Modify +OrdersApi ", capfd.readouterr().out)
    assert change.bring_up(Target("local"), shop(LogLevel="WARNING"), yes=True)
    assert re.search(r"UPDATE_COMPLETE +OrdersApi ", capfd.readouterr().out)


def change_sets() -> list[str]:
    found = Target("local").client("cloudformation").list_change_sets(StackName="kumiki-local")["Summaries"]
    return sorted(each["ChangeSetId"] for each in found)


def test_an_api_that_was_changed_after_its_stage_is_deployed_to_it(
    first_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS another AllowedOrigin does that; in the emulator any update changes the API, and leaves it undeployed."""
    monkeypatch.setenv("KUMIKI_HOME", str(HOME.root))
    target, before = Target("local"), serving()
    assert change.bring_up(target, shop(LogLevel="ERROR"), yes=True)
    assert serving() == before
    assert front_door.put_before_callers(target, "kumiki-local")
    assert serving() != before
    assert not front_door.put_before_callers(target, "kumiki-local")


def serving() -> str:
    """The deployment of the API that its stage answers with."""
    gateway = Target("local").client("apigateway")
    [api] = [found["id"] for found in gateway.get_rest_apis()["items"] if found["name"] == "kumiki-local"]
    return str(gateway.get_stage(restApiId=api, stageName="local")["deploymentId"])


def test_a_shop_is_destroyed_whatever_protects_it_and_made_anew(
    first_run: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUMIKI_HOME", str(HOME.root))
    cloudformation, cognito, pool = (
        *map(Target("local").client, ("cloudformation", "cognito-idp")),
        Running.load(HOME),
    )
    protection.put(Target("local"), "kumiki-local")
    cognito.update_user_pool(UserPoolId=pool.user_pool_id, DeletionProtection="ACTIVE")

    done = subprocess.run(["make", "destroy"], env=ENVIRONMENT, **SETTINGS)
    assert (done.returncode, "nothing was deleted" in done.stderr) == (2, True), done.stdout + done.stderr
    printed = make("destroy", "YES=1")
    assert "13 Lambda::Function" in printed
    assert re.search(r"DELETE_COMPLETE +OrdersApi ", printed)
    with pytest.raises(cloudformation.exceptions.ClientError, match="does not exist"):
        cloudformation.describe_stacks(**STACK)
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.describe_user_pool(UserPoolId=pool.user_pool_id)

    assert "there is nothing of it" in make("destroy", "YES=1")
    assert change.bring_up(Target("local"), shop(), yes=True)
    assert re.search(r"CREATE_COMPLETE +kumiki-local ", capfd.readouterr().out)


def test_nothing_runs_after_stop(first_run: str) -> None:
    assert processes()
    make("stop")
    assert not processes()


def test_what_is_asked_of_a_shop_that_is_not_up_says_how_to_bring_it_up() -> None:
    order, event = "ORDER=01a221e5-b70f-7da4-a591-1b381dec8575", "EVENT=place_order"
    asked = [["token", "USER=alice"], ["invoke", "FUNCTION=OrdersApi", event], ["logs", order], ["redrive"]]
    for arguments in [*asked, ["reconcile"], ["consumer", "NAME=orders", "TURN=off"]]:
        done = subprocess.run(["make", *arguments], env=ENVIRONMENT, **SETTINGS)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "NotUp: the local cloud is not up: `make run` brings it up" in done.stderr
