"""Compares a package's metadata with the facts in its topic."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from weekbot.content.model import Framework, PackageFact

_MAX_NAME = 100  # characters; a longer licence field is the licence's whole text
_FAMILIES = {
    "lesser general public": "lgpl",
    "affero general public": "agpl",
    "general public license": "gpl",
    "mozilla": "mpl",
    "python software foundation": "psf",
} | {name: name for name in ("agpl", "lgpl", "gpl", "mpl", "psf", "mit", "bsd", "apache", "isc", "zlib", "unlicense")}


@dataclass(frozen=True)
class PackageMetadata:
    python: str
    expression: str
    licences: tuple[str, ...]  # SPDX identifiers or free text
    homepages: tuple[str, ...]  # those labelled as such
    addresses: tuple[str, ...]  # all links


def read_metadata(distribution: Distribution) -> PackageMetadata:
    """Read an installed package's core metadata (packaging.python.org)."""
    fields = distribution.metadata
    projects = [entry.partition(",")[::2] for entry in fields.get_all("Project-URL", [])]
    links = [(label.strip().casefold(), url.strip()) for label, url in projects]
    links += [("homepage", url) for url in fields.get_all("Home-page", []) if url != "UNKNOWN"]
    classifiers = [name for name in fields.get_all("Classifier", []) if name.startswith("License ::")]
    names = [text for text in fields.get_all("License", []) if len(text) <= _MAX_NAME]
    return PackageMetadata(
        python=next(iter(fields.get_all("Requires-Python", [])), ""),
        expression=next(iter(fields.get_all("License-Expression", [])), ""),
        licences=(*classifiers, *names),
        homepages=tuple(url for label, url in links if label.replace("-", "").replace(" ", "") == "homepage"),
        addresses=tuple(url for _, url in links),
    )


def differences(topic: Framework, package: PackageMetadata) -> Iterator[tuple[str, str]]:
    """Yield each fact that differs from the metadata unexplained, or is explained without need, with a message."""
    for fact, check in _CHECKS.items():
        message = check(topic, package)
        if message and fact not in topic.differs:
            yield fact, message
        elif not message and fact in topic.differs:
            yield "differs", f"differs explains {fact}, but {topic.package} does not state otherwise"


def _python(topic: Framework, package: PackageMetadata) -> str | None:
    try:
        same = not package.python or SpecifierSet(topic.python) == SpecifierSet(package.python)
    except InvalidSpecifier:
        return None
    return None if same else f"python is {topic.python}, but {topic.package} states {package.python}"


def _licence(topic: Framework, package: PackageMetadata) -> str | None:
    if package.expression:
        same = topic.licence in [package.expression, *re.findall(r"[\w.+-]+", package.expression)]
    else:
        families = {family for name in package.licences if (family := _family(name))}
        same = not families or _family(topic.licence) in families
    stated = package.expression or next(iter(package.licences), "")
    return None if same else f"licence is {topic.licence}, but {topic.package} states {stated}"


def _family(licence: str) -> str | None:
    """Return the family, because free text such as `BSD License` fits both BSD-2-Clause and BSD-3-Clause."""
    folded = licence.casefold()
    return next((family for name, family in _FAMILIES.items() if re.search(rf"\b{name}|{name}\b", folded)), None)


def _homepage(topic: Framework, package: PackageMetadata) -> str | None:
    if not package.homepages or _normalized(topic.homepage) in map(_normalized, package.addresses):
        return None
    return f"homepage is {topic.homepage}, but {topic.package} states {package.homepages[0]}"


def _normalized(url: str) -> str:
    parts = urlsplit(url.casefold())
    return parts.netloc.removeprefix("www.") + parts.path.rstrip("/")


_CHECKS = {PackageFact.LICENCE: _licence, PackageFact.PYTHON: _python, PackageFact.HOMEPAGE: _homepage}
