"""The READMEs and their commands."""

import re

from support.places import ROOT

README = "\n".join(
    (ROOT / folder / "README.md").read_text(encoding="utf-8").replace("../.images", ".images")
    for folder in (".", "app", "einv2")
)
# paragraphs of indented lines
BLOCKS = [[line.strip() for line in block.splitlines()] for block in re.findall(r"(?:^ {4}.*\n)+", README, re.M)]
