"""What every test gets: nothing of the caller's settings, no clock to race, and repeatable property tests.

For those that ask: the processes that are started.
"""

import os
import subprocess

import pytest
from hypothesis import HealthCheck, settings
from patience import GUARD

LIMITS = (
    "runtime.isolated.START_SECONDS",
    "detector.reading.eventlogs.CHUNK_SECONDS",
    "detector.reading.parquet.TABLE_SECONDS",
    "powershell.syntax.SECONDS",
)

for name in [name for name in os.environ if name.startswith("PSEMBED_")]:
    del os.environ[name]
os.environ |= {"MPLBACKEND": "Agg", "COLUMNS": "80", "ORT_DISABLE_TELEMETRY": "1"}
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    """Begin with the chain of notebooks, which takes longest, so that other cores have enough to do."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


@pytest.fixture(autouse=True)
def _no_clock():
    """Let no limit in seconds be reached in this process, however slow or busy the machine."""
    with pytest.MonkeyPatch.context() as patched:  # of its own: a test may undo what it patches itself
        for name in LIMITS:
            patched.setattr(f"psembed.{name}", GUARD)
        patched.setattr("psembed.runtime.workers.CONNECT", f"{GUARD}s")
        yield


@pytest.fixture
def started_processes(monkeypatch):
    """The processes started, in order."""

    class Process(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            processes.append(self)

    processes = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    return processes
