"""The README's list of licences is that of the packages which are installed with requirements.txt."""

import re
from importlib import metadata

from packaging.requirements import Requirement

from support.places import ROOT
from support.readme import README

LICENCES = {  # what packages say of themselves, to a row of the README's table
    r"LGPL": "LGPL-2.1",
    r"MPL|Mozilla": "MPL-2.0",
    r"(?<!L)GPL|GNU General": "GPL",
    r"Apache": "Apache-2.0",
    r"BSD": "BSD",
    r"\bISC|\bMIT\b|Permission is hereby granted": "MIT or ISC",
    r"PSF|Python Software": "PSF-2.0",
}
TITLE = 400  # characters in which the text of a licence says which it is


def key(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def closure(wanted):
    """Everything that the packages need, of what is installed: key to distribution."""
    found, waiting = {}, [r.name for r in wanted]
    while waiting:
        name = waiting.pop()
        if key(name) in found:
            continue
        try:
            found[key(name)] = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        needs = map(Requirement, found[key(name)].requires or [])
        waiting += [r.name for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def said(distribution):
    """What a package says of its licence, from the surest place in which it says something."""
    about = distribution.metadata
    yield about.get("License-Expression") or ""
    yield " ".join(c for c in about.get_all("Classifier") or [] if c.startswith("License ::"))
    yield (about.get("License") or "")[:TITLE]
    files = [file for file in distribution.files or [] if "LICEN" in file.name.upper()]
    yield " ".join(file.read_text()[:TITLE] for file in files if file.locate().is_file())


def licences(distribution):
    """Rows in which a package may stand: more than one, if parts of it are under others or there is a choice."""
    found = ({row for pattern, row in LICENCES.items() if re.search(pattern, text)} for text in said(distribution))
    return next(filter(None, found), set())


def rows():
    """{licence: its packages} of the README's table."""
    section = README.partition("\n## Licences\n")[2].partition("\n## ")[0]
    table = [line.strip("| \n").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return {licence: packages.split(", ") for licence, packages in table}


INSTALLED = closure(requirements())


def test_what_is_named_in_requirements_stands_under_its_licence():
    listed = {package: licence for licence, packages in rows().items() for package in packages}
    for requirement in requirements():
        name = key(requirement.name)
        assert listed.get(name) in licences(INSTALLED[name]), name


def test_what_that_brings_along_is_under_a_licence_that_is_listed():
    """New versions may bring other packages: those need no place of their own, but no licence that nobody has looked at."""
    listed = {package for packages in rows().values() for package in packages}
    for name, distribution in INSTALLED.items():
        known = name.startswith("nvidia-") or name in listed or licences(distribution) & rows().keys()
        assert known, f"{name}: {licences(distribution)}"
