"""What `make smoke` does, in both designs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from urllib3.exceptions import HTTPError

from localcloud import aws
from localcloud.api import Api, UnexpectedAnswer
from localcloud.home import Home
from localcloud.played import Story, UnexpectedEnd
from localcloud.stack import Stack
from release.smoke import Door, play

Left = Callable[[], tuple[set[str], set[str]]]


@pytest.fixture
def door(home: Home, stack: Stack, accepted: int) -> Door:
    return Door(stack.api_url, aws.client(home, "cognito-idp"), stack.user_pool_id, stack.client_id, accepted)


@pytest.fixture
def left(door: Door) -> Left:
    """Who is in the user pool, and what of a smoke test is for sale."""

    def look() -> tuple[set[str], set[str]]:
        people = door.cognito.list_users(UserPoolId=door.user_pool_id)["Users"]
        sold = Api(door.api_url).get("/products?limit=100&q=Smoke")["items"]
        return {user["Username"] for user in people}, {product["name"] for product in sold}

    return look


def test_an_order_is_played_until_it_is_confirmed_and_called_off_and_nobody_is_left(
    door: Door, left: Left, drained: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = left()
    play(door)
    story = [line.split()[2] for line in capsys.readouterr().out.splitlines() if " s  " in line]
    assert story == ["placed", "reserved", "confirmed", "cancelling", "cancelled"]
    assert left() == before == (before[0], set())
    drained()


def test_nobody_is_left_when_an_order_is_not_taken_either(door: Door, left: Left, drained: Callable[[], None]) -> None:
    before = left()
    with pytest.raises(UnexpectedAnswer, match=f"POST /orders answered {door.accepted} instead of 299"):
        play(replace(door, accepted=299))
    assert left() == before
    drained()


def test_nobody_is_left_when_somebody_cannot_sign_in(door: Door, left: Left) -> None:
    before = left()
    with pytest.raises(door.cognito.exceptions.ResourceNotFoundException):
        play(replace(door, client_id="of-another-pool"))
    assert left() == before


@pytest.mark.parametrize(
    "failure", [UnexpectedEnd("not confirmed"), HTTPError("timed out")], ids=["ends otherwise", "answers too late"]
)
def test_an_order_that_does_not_come_to_its_end_is_called_off_all_the_same(
    failure: Exception, door: Door, left: Left, drained: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = left(), list[Story]()

    def lost(order: Story, status: str) -> None:
        seen.append(order)
        raise failure

    monkeypatch.setattr(Story, "until", lost)
    asked = list[str]()
    request = Api.request

    def recorded(api: Api, method: str, path: str, *body: object, **headers: str) -> object:
        status, answer = request(api, method, path, *body, **headers)
        if path.endswith("/cancel"):
            asked.append(f"{path} {status}")
        return status, answer

    monkeypatch.setattr(Api, "request", recorded)
    with pytest.raises(type(failure), match=str(failure)):
        play(door)
    assert asked == [f"/orders/{seen[0].order_id}/cancel 202"]
    assert left() == before
    drained()
