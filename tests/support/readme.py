"""The README and its commands."""

import re

from test_datasets import flat, soundata, write  # noqa: F401 (a fixture)

from support.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


# paragraphs of indented lines
BLOCKS = [[line.strip() for line in block.splitlines()] for block in re.findall(r"(?:^ {4}.*\n)+", README, re.M)]
