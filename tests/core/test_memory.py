"""How much memory is free."""

import pytest

from feature_lazy.core.memory import cgroup_bytes, free_bytes


def control_group(root, name, **files):
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file.replace("__", ".")).write_text(text)


@pytest.mark.parametrize("version", [1, 2])
def test_free_memory_is_what_the_control_group_leaves(tmp_path, version):
    own = tmp_path / "cgroup"
    if version == 2:
        own.write_text("0::/slurm/job\n")
        control_group(tmp_path, "slurm", memory__max="max\n", memory__current="50\n", memory__stat="inactive_file 5\n")
        control_group(
            tmp_path, "slurm/job", memory__max="1000", memory__current="300", memory__stat="anon 1\ninactive_file 40\n"
        )
    else:
        own.write_text("3:cpu:/\n4:memory:/job\n0::/\n")
        files = {
            "memory__limit_in_bytes": "1000",
            "memory__usage_in_bytes": "300",
            "memory__stat": "total_inactive_file 40",
        }
        control_group(tmp_path, "memory/job", **files)
    assert list(cgroup_bytes(tmp_path, own)) == [740]
    assert list(cgroup_bytes(tmp_path, tmp_path / "missing")) == []
    assert 0 < free_bytes() < 2**50
