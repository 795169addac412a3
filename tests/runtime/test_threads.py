"""The cores that may be used: those of the affinity, and no more than any cgroup above the process allows."""

import os

import pytest

from psembed.runtime.threads import cores

V1, V2 = "4:cpu,cpuacct:", "0::"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of eight cores with these cgroups, as files below a folder that stands for /."""

    def make(own, files):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
        for name, content in {"proc/self/cgroup": own, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return cores(tmp_path)

    return make


def quota(folder, quota, period=100_000):
    base = f"sys/fs/cgroup/{folder}/cpu.cfs_"
    return {f"{base}quota_us": f"{quota}\n", f"{base}period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (f"{V2}/\n", {}, 8),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        (f"{V2}/a.slice/b\n", {"sys/fs/cgroup/a.slice/b/cpu.max": "300000 100000"}, 3),
        (f"{V2}/a.slice/b\n", {"sys/fs/cgroup/a.slice/cpu.max": "300000 100000"}, 3),
        (
            f"{V2}/a/b\n",
            {"sys/fs/cgroup/a/cpu.max": "300000 100000", "sys/fs/cgroup/a/b/cpu.max": "500000 100000"},
            3,
        ),
        (f"{V2}/elsewhere\n", {"sys/fs/cgroup/other/cpu.max": "100000 100000"}, 8),
        (f"{V1}/docker/12\n{V2}/\n", quota("cpu,cpuacct/docker/12", 400_000), 4),
        (f"{V1}/docker/12\n", quota("cpu,cpuacct", 400_000), 4),  # a container sees its own as the root
        (f"{V1}/docker/12\n", quota("cpu/docker", 250_000, 50_000), 5),
        (f"{V1}/\n", quota("cpu", -1), 8),
        ("3:cpuset:/\n2:cpu:/\n", quota("cpu", 100_000), 1),
        ("7:memory:/x\n", quota("cpu/x", 100_000), 8),  # of another hierarchy
        (f"1:name=systemd:/\n{V2}/a\n", {"sys/fs/cgroup/unified/a/cpu.max": "200000 100000"}, 2),
        (f"{V2}/a:b\n", {"sys/fs/cgroup/a:b/cpu.max": "200000 100000"}, 2),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": ""}, 8),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "0 0"}, 8),
        (f"{V2}/\n", {"sys/fs/cgroup/cpu.max": "many cores"}, 8),
        ("", {}, 8),
        ("damaged\n", {}, 8),
    ],
)
def test_quotas_of_cgroups_count(machine, own, files, expected):
    assert machine(own, files) == expected


def test_affinity_counts_and_without_cgroups_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cores(tmp_path) == 2


def test_where_the_system_has_no_affinity_its_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for known, expected in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert cores(tmp_path) == expected


def test_at_least_one_core_may_be_used_here():
    assert cores() >= 1
