"""Lists of products: found by name, newest first, in pages without gaps."""

import pytest

from tests.integration.catalog.asking import added, faulty, names, public, staff

NAMES = [
    "Hinoki tray",
    "100% linen towel",
    "100 linen towels",
    "snake_case mug",
    "snakeXcase mug",
    "back\\slash",
    "湯のみ茶碗",
]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("tray", ["Hinoki tray"]),
        ("HINOKI", ["Hinoki tray"]),
        ("noki t", ["Hinoki tray"]),
        ("100%", ["100% linen towel"]),
        ("%", ["100% linen towel"]),
        ("e_c", ["snake_case mug"]),
        ("_", ["snake_case mug"]),
        ("\\", ["back\\slash"]),
        ("\\s", ["back\\slash"]),
        ("\\%", []),
        ("茶碗", ["湯のみ茶碗"]),
        ("湯", ["湯のみ茶碗"]),
        ("箸", []),
        ("' OR 1=1 -- ", []),
        ("%s", []),
        ("", NAMES),
        ("a" * 100, []),
    ],
)
def test_names_are_searched_for_exactly_these_characters_in_any_case(search: str, found: list[str]) -> None:
    for name in NAMES:
        added(name)
    assert sorted(names(q=search)) == sorted(found)


def test_what_was_found_may_have_been_renamed() -> None:
    mug = added("Mug")
    staff("PATCH", f"/products/{mug}", {"name": "Cup"})
    assert (names(q="mug"), names(q="cup")) == ([], ["Cup"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"q": "a" * 101}, "q"),
        ({"q": "half \ud83c"}, "q"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "elsewhere"}, "cursor"),
    ],
)
def test_a_faulty_query_is_named(query: dict[str, str], field: str) -> None:
    assert faulty(public("GET", "/products", query=query)) == [field]


def test_pages_hold_every_match_once_and_in_order_whatever_is_added_or_retired_meanwhile() -> None:
    mugs = {added(f"Mug {number}"): f"Mug {number}" for number in range(9)}
    added("Tray")
    newest_first = [mugs[product_id] for product_id in sorted(mugs, reverse=True)]
    seen: list[str] = []
    query = {"q": "mug", "limit": "2"}
    while True:
        page = public("GET", "/products", query=query).json
        seen += [product["name"] for product in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        added("Mug, too new")
        staff("DELETE", f"/products/{page['items'][0]['product_id']}")
    assert seen == newest_first


def test_a_last_page_that_is_full_has_no_cursor() -> None:
    added("Mug")
    added("Tray")
    assert public("GET", "/products", query={"limit": "2"}).json["next_cursor"] is None
