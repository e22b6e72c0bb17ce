"""Links of the project's markdown files, which lead into the repository -> links between the pages of the site."""

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import PurePosixPath

FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\w*)[^\n]*\n.*?^(?P=ticks)$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\[(?P<text>[^\]\[]*)\]\()(?P<target>[^)\s]+)(?=\))")
IMAGE = re.compile(r'(<img src=")(?P<target>[^"]+)')
NO_HIGHLIGHTING = {"mermaid": "text"}  # languages that the generator does not know

Resolve = Callable[[str, str], str | None]  # a path of the repository and the text of its link -> a path of the site


def rewritten(text: str, repository_path: str, site_path: str, resolve: Resolve) -> str:
    """The text of a markdown file with each link leading to where `resolve` says; None leaves it as text.

    Args:
        repository_path: where the file is.
        site_path: where its page will be.
    """

    def follow(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, _, anchor = target.partition("#")
        at = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path), path))
        resolved = resolve(at, found.groupdict().get("text") or "")
        if resolved is None:
            raise LookupError(f"{repository_path}: the link to {target} leads to no page of the site.")
        return found[1] + relative(resolved, site_path) + (f"#{anchor}" if anchor else "")

    parts, end = [], 0
    for fenced in FENCE.finditer(text):
        parts.append(IMAGE.sub(follow, LINK.sub(follow, text[end : fenced.start()])))
        ticks, language = fenced["ticks"], fenced["language"]
        known = NO_HIGHLIGHTING.get(language, language)
        parts.append(fenced[0].replace(f"{ticks}{language}", f"{ticks}{known}", 1))
        end = fenced.end()
    return "".join([*parts, IMAGE.sub(follow, LINK.sub(follow, text[end:]))])


def relative(path: str, start: str) -> str:
    """The way from the page `start` to `path`, both paths of the site."""
    return PurePosixPath(os.path.relpath(path, posixpath.dirname(start) or ".")).as_posix()
