"""The documentation as a site: every page is in it, and every link of it leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(root, out):
    # Not --quiet, with which warnings do not count.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_in_the_navigation(site):
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named - pages == {"index.md", "slurm.md", "changes.md"}  # which stand elsewhere in the checkout
    assert pages <= named
    for name in named:
        page = name.removesuffix("README.md") + "index.html" if name.endswith("README.md") else name[:-3] + ".html"
        assert (site / page).stat().st_size > 1000, name


def test_pages_ask_no_other_server(site):
    for page in site.rglob("*.html"):
        asked = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text(encoding="utf-8")
        )
        assert asked == [], page.name


def test_files_beside_the_pages_are_named_and_not_linked(site):
    text = (site / "symbols.html").read_text(encoding="utf-8")
    assert "(<code>benchmarks/results/solvers.md</code>)" in text
    assert 'href="commands.html"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("link", ["[nowhere](nowhere.md)", "[no such part](laws.md#nowhere)"])
def test_a_broken_link_is_found(link, tmp_path):
    for name in ("docs", "slurm"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.png", "testbed"))
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / "docs" / "runs.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{link}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
