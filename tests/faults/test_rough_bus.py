"""The bus of these tests is as strict with a batch's answer as AWS is, and stricter than most emulators."""

import pytest

from tests.faults.rough_bus import MAX_RECEIVE_COUNT, Message, NoAnswer, Queue
from tests.integration.gateway import event


def queued(count: int) -> tuple[Queue, list[Message]]:
    queue = Queue()
    queue.messages = [Message(event("StockReserved", {}), f"m{position}") for position in range(count)]
    return queue, queue.take(range(10))


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": None}, {"batchItemFailures": []}])
def test_an_answer_that_names_no_message_means_that_all_are_done(answer: object) -> None:
    queue, batch = queued(3)
    assert queue.settle(batch, answer, "") == queue.messages == []


def test_named_messages_come_again() -> None:
    queue, batch = queued(3)
    queue.settle(batch, {"batchItemFailures": [{"itemIdentifier": "m1"}]}, "")
    assert [message.message_id for message in queue.messages] == ["m1"]


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer,
        "text",
        {"batchItemFailures": "m0"},
        {"batchItemFailures": ["m0"]},
        {"batchItemFailures": [{"id": "m0"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "of another batch"}]},
    ],
)
def test_all_come_again_when_there_is_no_answer_or_none_that_makes_sense(answer: object) -> None:
    queue, batch = queued(3)
    assert queue.settle(batch, answer, "") == queue.messages == batch


def test_what_came_in_vain_five_times_is_dead_until_somebody_moves_it_back() -> None:
    queue, batch = queued(1)
    for _ in range(MAX_RECEIVE_COUNT):
        assert queue.dead == []
        queue.settle(batch, NoAnswer, "killed")
        batch = queue.take([0])
    assert (queue.messages, len(queue.dead)) == ([], 1)
    queue.redrive()
    assert (len(queue.messages), queue.dead) == (1, [])


def test_a_batch_has_at_most_ten_messages_in_the_order_that_was_picked() -> None:
    queue, batch = queued(12)
    assert len(batch) == 10
    rest = list(queue.messages)
    assert queue.take([1, 0]) == rest[::-1]


def test_two_copies_of_an_event_are_not_under_way_at_once() -> None:
    queue, batch = queued(1)
    queue.messages = [copy := batch[0].again()]
    assert queue.take([0]) == []
    queue.settle(batch, None, "")
    assert queue.take([0]) == [copy]
