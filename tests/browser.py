"""A page in a real browser, without a window and without the network."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A browser is no package of Python, so that a machine may lack one; every other test of the pages runs without it.
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")


def noted(page: Path, profile: Path, width: int) -> str:
    """What the page's script has noted in its element "seen". Nothing may be printed to the console."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += [f"--user-data-dir={profile}", f"--window-size={width},900", "--virtual-time-budget=5000"]
    done = subprocess.run(
        [str(BROWSER), *flags, "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr
    return found[1]
