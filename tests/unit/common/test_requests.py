"""What a request brings along, and what is said of each faulty one."""

import base64
import json
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.http import Problem, Resolver
from common.requests import (
    BODY_BYTES,
    Page,
    body,
    cut,
    groups,
    idempotency_key,
    identifier,
    page,
    principal,
    staff,
)
from common.values import uuid7
from tests.integration.gateway import Context, api_event, ask


class Bulb(msgspec.Struct, forbid_unknown_fields=True):
    watts: Annotated[int, msgspec.Meta(ge=1, le=100)]
    colour: str = "white"


class Lamp(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    bulbs: Annotated[list[Bulb], msgspec.Meta(max_length=3)] = []


app = Resolver("workshop", {})


@app.post("/lamps")
def _lamp() -> Lamp:
    return body(app, Lamp)


@app.get("/page")
def _page() -> tuple[Any, int]:
    asked = page(app)
    return {"limit": asked.limit, "after": asked.after}, 200


@app.get("/me")
def _me() -> list[Any]:
    return list(principal(app))


@app.get("/staff")
def _staff() -> list[Any]:
    return list(staff(app))


@app.post("/key")
def _key() -> dict[str, str]:
    return {"key": idempotency_key(app)}


def lamp(text: str, **request: Any) -> tuple[int, list[str]]:
    """The status, and which fields are wrong."""
    answer = ask(app.handler, "POST", "/lamps", text, **request)
    return answer.status, [error["field"] for error in answer.json.get("errors", [])]


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (["staff", "buyers"], {"staff", "buyers"}),
        ("staff,buyers", {"staff", "buyers"}),
        ("staff, buyers", {"staff", "buyers"}),
        ("[staff buyers]", {"staff", "buyers"}),
        ("[staff, buyers]", {"staff", "buyers"}),
        ("staff", {"staff"}),
        ("[staff]", {"staff"}),
        ("", set()),
        ("[]", set()),
        ([], set()),
    ],
)
def test_groups_come_in_any_of_the_forms_in_which_gateways_pass_them_on(claim: Any, expected: set[str]) -> None:
    assert groups(claim) == expected


@pytest.mark.parametrize("claim", ["staffing", "non-staff", "[nostaff]", "Staff", ["staff,x"], None, "st aff"])
def test_only_the_very_group_makes_staff(claim: Any) -> None:
    assert ask(app.handler, "GET", "/me", groups=claim).json == ["alice-sub", False]
    assert ask(app.handler, "GET", "/staff", groups=claim).status == 403


@pytest.mark.parametrize("claim", [["staff"], "a,staff", "[a staff]"])
def test_staff_are_let_in(claim: Any) -> None:
    assert ask(app.handler, "GET", "/staff", groups=claim).json == ["alice-sub", True]


@pytest.mark.parametrize(
    "request_of",
    [{"sub": None}, {"claims": {"token_use": "access"}}, {"sub": ""}, {"claims": {"token_use": None}}],
    ids=["no claims", "access token", "no subject", "no use"],
)
def test_without_an_id_token_there_is_no_caller(request_of: dict[str, Any]) -> None:
    answer = ask(app.handler, "GET", "/me", **request_of)
    assert (answer.status, answer.json["title"]) == (401, "Unauthorized")


def test_a_null_authorizer_is_no_caller() -> None:
    event = api_event("GET", "/me", sub=None)
    event["requestContext"]["authorizer"] = None
    assert app.handler(event, Context())["statusCode"] == 401


def test_a_body_is_what_the_model_says() -> None:
    answer = ask(app.handler, "POST", "/lamps", {"name": "Lampe 灯 💡", "bulbs": [{"watts": 5}]})
    assert answer.json == {"name": "Lampe 灯 💡", "bulbs": [{"watts": 5, "colour": "white"}]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"name": }',
        "[1,",
        "nope",
        '{"name": "a"} trailing',
        "{'name': 'a'}",
        '{"name": NaN}',
        '{"name": "a\n"}',
    ],
)
def test_what_is_no_json_is_a_bad_request(text: str) -> None:
    assert lamp(text) == (400, [])


def test_no_body_at_all_is_a_bad_request() -> None:
    assert ask(app.handler, "POST", "/lamps").status == 400


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_a_binary_body_is_decoded() -> None:
    assert ask(app.handler, "POST", "/lamps", encoded('{"name": "灯"}'.encode()), base64=True).json["name"] == "灯"


@pytest.mark.parametrize(
    "text",
    [
        encoded(b'{"name": "\xff\xfe"}'),
        encoded(b"\x80"),
        encoded(b'{"name": "\xed\xa0\x80"}'),
        encoded(b'{"name": "\xc0\xaf"}'),
        "no base64!",
        "YWJj*",
        "灯",
    ],
)
def test_invalid_utf8_and_invalid_base64_are_bad_requests(text: str) -> None:
    assert lamp(text, base64=True) == (400, [])


def test_what_a_gateway_could_not_read_as_utf8_is_a_bad_request() -> None:
    assert lamp('{"name": "\ufffd"}') == (400, [])
    assert lamp('{"name": "\\ufffd"}')[0] == 200


def test_a_lone_surrogate_in_the_event_is_a_bad_request() -> None:
    assert lamp('{"name": "\ud800"}') == (400, [])


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x"])
def test_an_escaped_lone_surrogate_is_a_bad_request(escape: str) -> None:
    assert lamp(f'{{"name": "{escape}"}}') == (400, [])


def test_an_escaped_pair_is_one_character() -> None:
    assert ask(app.handler, "POST", "/lamps", '{"name": "\\ud83d\\ude00"}').json["name"] == "😀"


@pytest.mark.parametrize("text", ["[" * 30_000, '{"a":' * 10_000, '{"name": ' + "[" * 30_000 + "]" * 30_000 + "}"])
def test_deep_nesting_is_refused(text: str) -> None:
    assert lamp(text)[0] in (400, 422)


def test_too_large_a_body_is_refused_by_its_bytes() -> None:
    rest = len('{"name": ""}')
    assert lamp('{"name": "' + "a" * (BODY_BYTES - rest) + '"}')[0] == 200
    assert lamp('{"name": "' + "a" * (BODY_BYTES - rest + 1) + '"}') == (413, [])
    assert lamp('{"name": "' + "界" * (BODY_BYTES // 3) + '"}') == (413, [])
    assert lamp(encoded(b'{"name": "' + b"a" * BODY_BYTES + b'"}'), base64=True) == (413, [])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", "body"),
        ("null", "body"),
        ('"text"', "body"),
        ("{}", "name"),
        ('{"name": 1}', "name"),
        ('{"name": null}', "name"),
        ('{"name": "a", "bulbs": {}}', "bulbs"),
        ('{"name": "a", "bulbs": [{"watts": 1}, {"watts": 0}]}', "bulbs[1].watts"),
        ('{"name": "a", "bulbs": [{"watts": "1"}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{"watts": 1.5}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{"watts": true}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{"watts": 1e400}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{"watts": 99999999999999999999999}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{}]}', "bulbs[0].watts"),
        ('{"name": "a", "bulbs": [{"watts": 1}, {"watts": 1}, {"watts": 1}, {"watts": 1}]}', "bulbs"),
        ('{"name": "a", "price": 1}', "price"),
        ('{"name": "a", "bulbs": [{"watts": 1, "volts": 2}]}', "bulbs[0].volts"),
    ],
)
def test_a_faulty_field_is_named(text: str, field: str) -> None:
    assert lamp(text) == (422, [field])


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_no_body_whatever_is_a_fault_of_ours(anything: str | bytes) -> None:
    if isinstance(anything, bytes):
        status, _ = lamp(encoded(anything), base64=True)
    else:
        status, _ = lamp(anything)
    assert status in (400, 422)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["name", "bulbs", "watts", "x"]) | st.text(), inner)
        ),
    )
)
def test_no_json_whatever_is_a_fault_of_ours(anything: Any) -> None:
    assert lamp(json.dumps(anything))[0] in (200, 400, 422)


@pytest.mark.parametrize("key", ["a", "a" * 64, "with spaces ~!", "2f1b-"])
def test_a_key_is_up_to_64_printable_characters(key: str) -> None:
    assert ask(app.handler, "POST", "/key", key=key).json == {"key": key}


@pytest.mark.parametrize("key", [None, "", "a" * 65, "灯", "a\tb", "a\x00", "a\n", "é", "\x7f"])
def test_any_other_key_is_a_bad_request(key: str | None) -> None:
    answer = ask(app.handler, "POST", "/key", key=key)
    assert (answer.status, "Idempotency-Key" in answer.json["detail"]) == (400, True)


def test_the_header_is_found_in_any_case() -> None:
    assert ask(app.handler, "POST", "/key", headers={"idempotency-key": "k"}).json == {"key": "k"}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "",
        "1",
        "0" * 32,
        "{01890000-0000-7000-8000-000000000001}",
        "01890000-0000-7000-8000-00000000000g",
        "urn:uuid:01890000-0000-7000-8000-000000000001",
        "01890000-0000-7000-8000-000000000001\n",
        "' OR 1=1 --",
        "灯",
    ],
)
def test_a_malformed_identifier_is_of_nothing(text: str) -> None:
    with pytest.raises(Problem) as problem:
        identifier(text)
    assert problem.value.status == 404


def test_an_identifier_is_read_in_either_case() -> None:
    assert identifier("01890000-0000-7000-8000-00000000ABCD") == UUID("01890000-0000-7000-8000-00000000abcd")


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "1.0"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "٣"},
        {"limit": "1\n"},
        {"limit": "9" * 5000},
        {"limit": " 1"},
        {"cursor": ""},
        {"cursor": "x"},
        {"cursor": "a" * 22},
        {"cursor": "é" * 22},
        {"cursor": "A" * 23},
        {"cursor": "' OR 1=1 --"},
        {"cursor": "A" * 22 + "\n"},
    ],
)
def test_an_odd_query_is_refused_by_name(query: dict[str, str]) -> None:
    answer = ask(app.handler, "GET", "/page", query=query)
    assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, list(query))


def test_a_page_has_twenty_items_unless_asked_otherwise() -> None:
    assert ask(app.handler, "GET", "/page").json == {"limit": 20, "after": "ffffffff-ffff-ffff-ffff-ffffffffffff"}
    assert [ask(app.handler, "GET", "/page", query={"limit": n}).json["limit"] for n in ("1", "100")] == [1, 100]


def test_a_cursor_leads_on_from_the_last_item_shown() -> None:
    items = [uuid7() for _ in range(4)]
    shown, cursor = cut(items, Page(3), lambda item: item)
    assert (shown, cursor is not None) == (items[:3], True)
    assert ask(app.handler, "GET", "/page", query={"cursor": str(cursor)}).json["after"] == str(items[2])


@given(st.uuids())
def test_every_identifier_can_be_a_cursor(last: UUID) -> None:
    _, cursor = cut([last, last], Page(1), lambda item: item)
    assert ask(app.handler, "GET", "/page", query={"cursor": str(cursor)}).json["after"] == str(last)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_last_page_has_no_cursor(count: int) -> None:
    items = [uuid7() for _ in range(count)]
    assert cut(items, Page(3), lambda item: item) == (items, None)
