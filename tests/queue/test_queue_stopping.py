from __future__ import annotations

import signal
import threading
import time

from scalekit.queue.stopping import WAKE, StopOrder


def test_an_order_given_by_another_thread_ends_the_wait():
    order = StopOrder()
    threading.Timer(0.05, order.give).start()
    order.wait()


def test_an_order_given_before_is_kept():
    order = StopOrder()
    order.give()
    order.wait()


def test_a_signal_that_the_kernel_gave_to_another_thread_is_obeyed():
    order = StopOrder()
    before = signal.signal(signal.SIGUSR1, lambda *_: order.give())

    def receive():
        time.sleep(0.1)  # the main thread waits by now
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    thread = threading.Thread(target=receive)
    started = time.monotonic()
    try:
        thread.start()
        order.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    assert time.monotonic() - started < 20 * WAKE
