"""Ctrl-C: once asks a sweep to stop at its next checkpoint, twice stops now."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import NoReturn

from bench.cli.terminal.lines import echo

INTERRUPTED = 130  # exit status, by the shells' convention


@contextmanager
def handled(stop: Event, say: Callable[[str], None]) -> Iterator[None]:
    """Within this context the first Ctrl-C sets `stop`, and the second ends the process with status 130.

    A thread is woken through a pipe: Python's own handlers wait until compiled code returns, which may take minutes.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    old_handler = signal.signal(signal.SIGINT, lambda number, frame: None)
    old_writer = signal.set_wakeup_fd(writer)

    def listen():
        pressed = 0
        while os.read(reader, 1)[0] == signal.SIGINT:
            pressed += 1
            if pressed == 2:
                os.write(2, b"\x1b[?25h\n" if os.isatty(2) else b"")  # the cursor that progress bars hide
                os._exit(INTERRUPTED)
            stop.set()
            say("stopping at the next checkpoint; Ctrl-C again stops now")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(old_writer)
        signal.signal(signal.SIGINT, old_handler)
        os.write(writer, b"\0")  # ends the thread
        thread.join()
        os.close(reader)
        os.close(writer)


def exit_interrupted() -> NoReturn:
    """Say how the work goes on, and exit with status 130."""
    echo("bench: interrupted. The same command goes on from here.", err=True)
    sys.exit(INTERRUPTED)
