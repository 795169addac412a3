"""How long a test waits for an event, and waiting for one."""

import time
from collections.abc import Callable

GUARD = 600  # seconds; ends what would hang, and is never the reason for what a test sees


def wait_for(event: Callable[[], object]) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + GUARD
    while not event():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
