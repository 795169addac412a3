"""How many cores this process may use, which may be fewer than the machine has."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cores(root: Path = Path("/")) -> int:
    """Return the number of cores this process may use, at least 1: by its affinity and its cgroups' quotas.

    A part of a core counts as one. Quotas are those of the cgroups, of versions 1 and 2, that
    `root`/proc/self/cgroup names, and of those above them.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # which Windows and macOS have not
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield how many cores each cgroup of this process allows, where it sets a limit."""
    with contextlib.suppress(OSError, ValueError):  # there are none, or not as we know them
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            group = PurePosixPath(path.lstrip("/"))
            for mount in (controllers, "cpu", "") if controllers else ("", "unified"):
                for folder in (group, *group.parents):
                    yield from _quota(root / "sys/fs/cgroup" / mount / folder)


def _quota(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # not there, or "max"
        quota, period = map(int, (folder / "cpu.max").read_text().split())
        yield quota / period
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        if quota > 0:  # -1 is no limit
            yield quota / period
