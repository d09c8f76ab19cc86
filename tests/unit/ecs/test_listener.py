"""What granian's main loop waits for."""

from threading import Thread

from ecs.runtime.listener import Listener


def test_an_end_is_not_forgotten_when_the_loop_clears_its_event_because_a_worker_died() -> None:
    listener = Listener("127.0.0.1", 0, 1)
    listener.end()
    listener.main_loop_interrupt.clear()
    loop = Thread(target=listener.main_loop_interrupt.wait, daemon=True)
    loop.start()
    loop.join(60)
    assert not loop.is_alive()


def test_until_then_the_loop_waits_and_sleeps_no_longer_than_until_it_is_woken() -> None:
    listener = Listener("127.0.0.1", 0, 1)
    loop = Thread(target=listener.main_loop_interrupt.wait, daemon=True)
    loop.start()
    loop.join(1)
    assert loop.is_alive()
    listener.main_loop_interrupt.set()
    loop.join(60)
    assert not loop.is_alive()
