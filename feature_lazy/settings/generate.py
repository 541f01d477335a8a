"""Write what comes from the registry, ``conf/<group>/<option>.yaml`` and ``docs/options.md``: ``make conf``."""

import sys

from feature_lazy.core.files import remove, write_atomically
from feature_lazy.core.terminal import say
from feature_lazy.settings.conf_files import config_dir, contents, differing
from feature_lazy.settings.help import reference


def main() -> int:
    """Write what differs, and remove what no option stands for."""
    folder, wanted = config_dir(), dict(contents())
    for name in differing(folder, wanted):
        if name in wanted:
            write_atomically(folder / name, wanted[name].encode(), below=None)
        else:
            remove(folder / name, below=None)
        say(f"conf/{name}")
    page, text = folder.parent / "docs" / "options.md", reference()
    if page.parent.is_dir() and not (page.is_file() and page.read_text(encoding="utf-8") == text):
        write_atomically(page, text.encode(), below=None)
        say("docs/options.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
