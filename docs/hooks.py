"""The site's hooks: pages that stand elsewhere in the checkout, and links to files that the site does not have."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"index.md": "README.md", "slurm.md": "slurm/README.md", "changes.md": "CHANGELOG.md"}
"""Pages of the site, and the files that they are."""
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that stand elsewhere."""
    for name, path in ELSEWHERE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_moved(text, posixpath.dirname(path), "", files)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links to where files are on the site."""
    if page.file.src_uri in ELSEWHERE:
        return markdown
    folder = posixpath.dirname(page.file.src_uri)
    return _moved(markdown, posixpath.join("docs", folder), folder, files)


def _moved(text: str, at: str, to: str, files: Any) -> str:
    """Text of a file in folder ``at`` of the checkout, with its links as a page in folder ``to`` of the site has them.

    A link to a file that is no page, such as a module, becomes the name of that file.
    """
    pages = {posixpath.normpath(path): name for name, path in ELSEWHERE.items()}

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], posixpath.normpath(posixpath.join(at, found[2])), found[3] or ""
        name = pages.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
        if posixpath.splitext(name)[1] == "":
            name = posixpath.join(name, "README.md") if name else ""
        if name in pages.values() or (name and files.get_file_from_path(name) is not None):
            return f"{words}({posixpath.relpath(name, to or '.')}{anchor})"
        # What is nowhere stays a link, which mkdocs finds broken.
        return f"{words[1:-1]} (`{target}`)" if (ROOT / target).exists() else found[0]

    return LINK.sub(link, text)
