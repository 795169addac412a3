"""What every test gets: no staging folder or mirror of the caller's, and repeatable property tests.

For those that ask: the processes that are begun.
"""

import os
import subprocess

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_staging(monkeypatch):
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)


@pytest.fixture
def begun(monkeypatch):
    """The processes begun, in order."""

    class Process(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            processes.append(self)

    processes = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    return processes
