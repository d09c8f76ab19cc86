"""Identifiers and money."""

import time
from uuid import RFC_4122

import msgspec
import pytest

from common.values import Money, uuid7


def test_an_identifier_has_the_bits_of_a_uuid7() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 2000
    for identifier in made:
        assert (identifier.version, identifier.variant) == (7, RFC_4122)
        assert before <= identifier.int >> 80 <= after
    ones = zeros = 0
    for identifier in made:
        ones, zeros = ones | identifier.int, zeros | ~identifier.int
    random_bits = (((1 << 12) - 1) << 64) | ((1 << 62) - 1)
    assert ones & random_bits == zeros & random_bits == random_bits, "every random bit is drawn"


def test_identifiers_sort_by_the_time_at_which_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_780_000_000_000_000_000, 1_780_000_000_001_000_000, 1_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    made = [uuid7() for _ in range(500)]
    assert made == sorted(made)
    assert [i.bytes for i in made] == sorted(i.bytes for i in made)


@pytest.mark.parametrize(
    "wrong", [b'{"amount":-1}', b'{"amount":1.5}', b'{"amount":1,"currency":"USD"}', b'{"amount":"1"}']
)
def test_money_is_a_whole_number_of_yen(wrong: bytes) -> None:
    assert msgspec.json.decode(b'{"amount":5}', type=Money) == Money(5, "JPY")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wrong, type=Money)
