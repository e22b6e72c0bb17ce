"""The pages of the site as text, by their path; and a page for each file of the repository that a page links to."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.website.links import relative, rewritten

LANGUAGES = {".py": "python", ".toml": "toml"}


class Entry(NamedTuple):
    """What the navigation shows: pages below a caption."""

    caption: str
    pages: Sequence[str]


class Site:
    """Pages that are made one after the other, with the files beside them; `write` leaves them in a folder.

    root: the repository
    homes: which page of the site a file or folder of the repository became; by path
    named: the same by the text of a link, for files that hold several tasks
    """

    def __init__(self, root: Path, homes: Mapping[str, str], named: Mapping[str, str]):
        self.root = root
        self.homes = homes
        self.named = named
        self.pages: dict[str, str] = {}
        self.files: dict[str, bytes] = {}

    def add_file(self, path: str) -> None:
        """Make a page of a markdown file of the repository."""
        page = self.homes[path]
        self.add(page, (self.root / path).read_text(encoding="utf-8"), path)

    def add(self, page: str, text: str, repository_path: str) -> None:
        """Add a page whose links lead from a place in the repository."""
        self.pages[page] = rewritten(text, repository_path, page, self._resolve)

    def _resolve(self, path: str, text: str) -> str | None:
        home = self.named.get(text.strip("`")) if path.startswith("tasks/") else None
        home = home or self.homes.get(path)
        if home is None and (self.root / path).is_dir():
            home = next((self.homes[up] for up in _upwards(path) if up in self.homes), None)
        if home is not None:
            return home
        file = self.root / path
        if file.suffix in (".png", ".svg") and file.is_file():
            self.files[f"images/{file.name}"] = file.read_bytes()
            return f"images/{file.name}"
        return self.source(path) if file.is_file() else None

    def source(self, path: str) -> str:
        """The page of a file's text, which is made when it is first linked."""
        page = f"source/{posixpath.splitext(path)[0].strip('.')}.md"
        if page not in self.pages:
            text = (self.root / path).read_text(encoding="utf-8")
            language = LANGUAGES.get(posixpath.splitext(path)[1], "text")
            self.pages[page] = f"---\norphan: true\n---\n# {path}\n\n````{language}\n{text}````\n"
        return page

    def write(self, folder: Path) -> None:
        """Write all pages and files into a folder."""
        for path, text in self.pages.items():
            _write(folder / path, text.encode())
        for path, content in self.files.items():
            _write(folder / path, content)


def toctree(entries: Sequence[Entry], page: str) -> str:
    """The navigation below a page, in words of the generator; it shows nothing on the page itself."""
    parts = []
    for entry in entries:
        lines = "\n".join(relative(path, page).removesuffix(".md") for path in entry.pages)
        caption = f":caption: {entry.caption}\n" if entry.caption else ""
        parts.append(f"```{{toctree}}\n:hidden:\n{caption}\n{lines}\n```\n")
    return "\n" + "\n".join(parts)


def raw(html: str) -> str:
    """HTML as a block of markdown that the generator leaves alone."""
    return f"\n`````{{raw}} html\n{html.strip()}\n`````\n"


def _upwards(path: str) -> list[str]:
    return [path, *map(str, Path(path).parents)]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
