"""How patiently a mail is tried."""

from itertools import accumulate

from common.values import uuid7
from notifications.domain import HOPELESS_ATTEMPTS, Locale, Mail, Topic

DAY = 24 * 3600


def mail(attempts: int) -> Mail:
    return Mail(uuid7(), uuid7(), Topic.DELIVERED, "{}", "a@example.com", Locale.ENGLISH, "story", attempts)


def test_pauses_grow_from_seconds_to_an_hour() -> None:
    assert [mail(attempt).pause_seconds for attempt in range(1, 8)] == [5, 20, 80, 320, 1280, 3600, 3600]


def test_a_mail_is_tried_for_longer_than_the_day_for_which_a_quota_may_be_used_up_and_not_for_ever() -> None:
    attempts = [mail(attempt) for attempt in range(1, 1000)]
    tried = [one for one in attempts if not one.hopeless]
    assert len(tried) == HOPELESS_ATTEMPTS - 1
    assert DAY * 1.5 < list(accumulate(one.pause_seconds for one in tried))[-1] < DAY * 3


def test_an_event_is_not_delivered_five_times_in_vain_for_a_mail() -> None:
    """A delivery that finds the mail not due yet succeeds, and the fifth in vain would make the event a dead letter."""
    for visibility in (10, 90):
        in_vain, now, due = 0, 0, 0
        for _ in range(5):
            if now >= due:
                in_vain += 1
                due = now + mail(in_vain).pause_seconds
            now += visibility
        assert in_vain < 5
