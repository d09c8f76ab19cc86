"""The mails, worded by ja.toml and en.toml: what happened, to which order, and what comes next."""

from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

import msgspec

from notifications.domain import Address, Letter, Locale, News, Topic


class _Words(msgspec.Struct, rename={"then": "next"}):
    """`{cause}` in `what` is replaced by one of the language's causes."""

    subject: str
    what: str
    then: str


class _Language(msgspec.Struct):
    opening: str
    closing: str
    order: str
    lines: str
    total: str
    refund: str
    address: str
    tracking: str
    amount: str
    causes: dict[str, str]
    topics: dict[Topic, _Words]


def compose(news: News, locale: Locale) -> Letter:
    """The letter that tells the news. Whatever others have named, such as products, stays within its line."""
    language = _language(locale)
    words = language.topics[news.topic]
    reason = news.reason or ""
    cause = next(cause for start, cause in language.causes.items() if reason.startswith(start))
    what = words.what.format(cause=cause)
    paragraphs = [language.opening, what, *_facts(news, language, locale), words.then, language.closing]
    body = "".join(f"<p>{escape(paragraph).replace(chr(10), '<br>')}</p>\n" for paragraph in paragraphs)
    head = f'<meta charset="utf-8"><title>{escape(words.subject)}</title>'
    html = f'<!doctype html>\n<html lang="{locale}"><head>{head}</head><body>\n{body}</body></html>\n'
    return Letter(words.subject, "\n\n".join(paragraphs) + "\n", html)


def _facts(news: News, language: _Language, locale: Locale) -> Iterator[str]:
    yield language.order.format(news.order_id)
    if news.lines:
        yield "\n".join([language.lines, *(f"{_one_line(line.name)} × {line.quantity}" for line in news.lines)])
    if news.amount is not None:
        label = language.refund if news.topic is Topic.REFUNDED else language.total
        yield label.format(language.amount.format(news.amount))
    if news.address is not None:
        yield "\n".join([language.address, *_address(news.address, locale)])
    if news.tracking_number is not None:
        yield language.tracking.format(_one_line(news.tracking_number))


def _address(address: Address, locale: Locale) -> list[str]:
    """As it is written where the reader is at home."""
    if locale is Locale.JAPANESE and address.country == "JP":
        place = " ".join(filter(None, [address.region, address.city, address.line1]))
        parts = [f"〒{address.postal_code}", place, address.line2, f"{address.name} 様"]
    else:
        city = ", ".join(filter(None, [address.city, address.region]))
        parts = [address.name, address.line1, address.line2, f"{city} {address.postal_code}", address.country]
    return [_one_line(part) for part in parts if part]


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@cache
def _language(locale: Locale) -> _Language:
    return msgspec.toml.decode(Path(__file__).with_name(f"{locale}.toml").read_bytes(), type=_Language)
