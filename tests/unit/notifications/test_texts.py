"""What customers read: in their language, with what they have to know, and whatever a product is called."""

from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.domain import Address, Letter, Line, Locale, News, Topic
from notifications.texts import compose

ORDER = UUID("019a0c5e-7b1a-7c3e-8d54-2f6a9b1c0e47")
HOME = Address("青木 有希", "丸の内1-2-3", "千代田区", "100-0005", "JP", "青葉荘 405", "東京都")
ABROAD = Address("Bob Brown", "7 Hill Road", "Leeds", "LS1 4AB", "GB")
LINES = (Line("檜の盆", 1), Line("Tea bowl, ash glaze", 2))
CONFIRMED = News(ORDER, Topic.CONFIRMED, 14_800, LINES, HOME)
NEWS = [
    CONFIRMED,
    News(ORDER, Topic.REJECTED, reason="card declined"),
    News(ORDER, Topic.DISPATCHED, tracking_number="KMK-1234"),
    News(ORDER, Topic.DELIVERED),
    News(ORDER, Topic.CANCELLED),
    News(ORDER, Topic.EXPIRED),
    News(ORDER, Topic.REFUNDED, 5_800),
]
EVERYTHING = [(news, locale) for news in NEWS for locale in Locale]


class Page(HTMLParser):
    """A page as its reader sees it: each piece of text for itself, and the elements that it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces, self.elements = list[str](), list[str]()
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.pieces += [data.strip()] if data.strip() else []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)


def lines(letter: Letter) -> list[str]:
    return [line for line in letter.text.splitlines() if line]


def is_japanese(text: str) -> bool:
    return any("\u3040" <= letter <= "\u30ff" for letter in text)


def test_there_is_news_of_every_topic_here() -> None:
    assert [news.topic for news in NEWS] == list(Topic)


@pytest.mark.parametrize(("news", "locale"), EVERYTHING)
def test_every_mail_is_in_its_language_names_the_order_and_leaves_nothing_to_be_filled_in(
    news: News, locale: Locale
) -> None:
    letter = compose(news, locale)
    assert str(ORDER) in letter.text
    assert (
        is_japanese(letter.subject)
        == is_japanese(lines(letter)[0])
        == is_japanese(lines(letter)[1])
        == (locale is Locale.JAPANESE)
    )
    assert f'<html lang="{locale}">' in letter.html
    assert not set("{}") & set(letter.subject + letter.text + letter.html)


@pytest.mark.parametrize("locale", Locale)
def test_no_two_topics_are_told_alike(locale: Locale) -> None:
    letters = [compose(News(ORDER, topic), locale) for topic in Topic]
    assert len({letter.subject for letter in letters}) == len(Topic)
    assert len({letter.text for letter in letters}) == len(Topic)


@pytest.mark.parametrize(("news", "locale"), EVERYTHING)
def test_the_page_says_what_the_plain_text_says(news: News, locale: Locale) -> None:
    letter = compose(news, locale)
    assert Page(letter.html).pieces == [letter.subject, *lines(letter)]


@pytest.mark.parametrize(
    ("locale", "total"), [(Locale.JAPANESE, "合計金額：14,800円"), (Locale.ENGLISH, "Total: ¥14,800")]
)
def test_a_confirmation_lists_lines_and_total(locale: Locale, total: str) -> None:
    assert {"檜の盆 × 1", "Tea bowl, ash glaze × 2", total} <= set(lines(compose(CONFIRMED, locale)))


def test_a_japanese_address_is_written_from_the_large_to_the_small_and_the_name_is_polite() -> None:
    told = lines(compose(CONFIRMED, Locale.JAPANESE))
    start = told.index("お届け先：")
    assert told[start + 1 : start + 5] == [
        "〒100-0005",
        "東京都 千代田区 丸の内1-2-3",
        "青葉荘 405",
        "青木 有希 様",
    ]


@pytest.mark.parametrize(
    ("locale", "address", "written"),
    [
        (Locale.ENGLISH, HOME, ["青木 有希", "丸の内1-2-3", "青葉荘 405", "千代田区, 東京都 100-0005", "JP"]),
        (Locale.JAPANESE, ABROAD, ["Bob Brown", "7 Hill Road", "Leeds LS1 4AB", "GB"]),
    ],
)
def test_other_addresses_are_written_from_the_small_to_the_large(
    locale: Locale, address: Address, written: list[str]
) -> None:
    told = lines(compose(News(ORDER, Topic.CONFIRMED, 1, LINES, address), locale))
    start = told.index(written[0])
    assert told[start : start + len(written)] == written


@pytest.mark.parametrize(
    ("reason", "japanese", "english"),
    [
        ("out of stock: 019a0c5e", "在庫が不足しているため", "not everything in it is in stock"),
        ("card declined", "カード会社の承認が得られなかったため", "your card was declined"),
    ],
)
def test_a_rejection_says_why(reason: str, japanese: str, english: str) -> None:
    news = News(ORDER, Topic.REJECTED, reason=reason)
    assert japanese in compose(news, Locale.JAPANESE).text
    assert english in compose(news, Locale.ENGLISH).text


@pytest.mark.parametrize("reason", ["something nobody has words for", None])
@pytest.mark.parametrize("locale", Locale)
def test_a_reason_without_words_is_not_told(reason: str | None, locale: Locale) -> None:
    text = compose(News(ORDER, Topic.REJECTED, reason=reason), locale).text
    assert "something" not in text
    assert "ため、" not in text
    assert "because" not in text


@pytest.mark.parametrize(
    ("locale", "words"), [(Locale.JAPANESE, "ご返金額：5,800円"), (Locale.ENGLISH, "Amount refunded: ¥5,800")]
)
def test_a_refund_tells_how_much(locale: Locale, words: str) -> None:
    assert words in lines(compose(NEWS[-1], locale))


@pytest.mark.parametrize("locale", Locale)
def test_a_parcel_on_its_way_can_be_found(locale: Locale) -> None:
    assert "KMK-1234" in compose(NEWS[2], locale).text


@pytest.mark.parametrize("locale", Locale)
def test_a_confirmation_of_which_only_the_order_is_known_tells_that(locale: Locale) -> None:
    bare = compose(News(ORDER, Topic.CONFIRMED), locale).text
    assert str(ORDER) in bare
    assert len(bare) < len(compose(CONFIRMED, locale).text)
    assert "None" not in bare


@given(st.text(max_size=100), st.text(max_size=100))
def test_whatever_a_product_or_a_customer_is_called_makes_no_line_and_no_element(product: str, name: str) -> None:
    plain = compose(News(ORDER, Topic.CONFIRMED, 1, (Line("a", 1),), ABROAD), Locale.ENGLISH)
    address = Address(f"N{name}", "7 Hill Road", "Leeds", "LS1 4AB", "GB")
    letter = compose(News(ORDER, Topic.CONFIRMED, 1, (Line(product, 1),), address), Locale.ENGLISH)
    assert letter.subject == plain.subject
    assert len(letter.text.splitlines()) == len(plain.text.splitlines())
    assert Page(letter.html).elements == Page(plain.html).elements


def test_a_product_called_script_is_only_called_so() -> None:
    name = "<script>alert('{0}')</script> & \"friends\""
    letter = compose(News(ORDER, Topic.CONFIRMED, 1, (Line(name, 3),), HOME), Locale.ENGLISH)
    assert f"{name} × 3" in letter.text
    assert f"{name} × 3" in Page(letter.html).pieces
    assert "script" not in Page(letter.html).elements
