"""`python -m bench.website FOLDER` writes the pages of the site, as the site generator reads them."""

import sys
from pathlib import Path

from bench.website.build import site_of

if __name__ == "__main__":
    site_of().write(Path(sys.argv[1]))
