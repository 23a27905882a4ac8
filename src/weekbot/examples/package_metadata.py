"""What a package states about itself, compared with what its topic says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from weekbot.content.model import Framework, PackageFact

_SHORT = 100  # characters; a longer licence field is the licence's whole text
_FAMILIES = {
    "lesser general public": "lgpl",
    "affero general public": "agpl",
    "general public license": "gpl",
    "mozilla": "mpl",
    "python software foundation": "psf",
    **{
        name: name for name in ("agpl", "lgpl", "gpl", "mpl", "psf", "mit", "bsd", "apache", "isc", "zlib", "unlicense")
    },
}


@dataclass(frozen=True)
class PackageMetadata:
    """`licences` are SPDX identifiers or free words, `homepages` what is stated as such, `addresses` all there are."""

    python: str
    expression: str
    licences: tuple[str, ...]
    homepages: tuple[str, ...]
    addresses: tuple[str, ...]


def read_metadata(distribution: Distribution) -> PackageMetadata:
    """From the metadata of an installed package (Core metadata, packaging.python.org)."""
    fields = distribution.metadata
    projects = [entry.partition(",")[::2] for entry in fields.get_all("Project-URL", [])]
    links = [(label.strip().casefold(), url.strip()) for label, url in projects]
    links += [("homepage", url) for url in fields.get_all("Home-page", []) if url != "UNKNOWN"]
    classifiers = [name for name in fields.get_all("Classifier", []) if name.startswith("License ::")]
    words = [text for text in fields.get_all("License", []) if len(text) <= _SHORT]
    return PackageMetadata(
        python=_first(fields.get_all("Requires-Python", [])),
        expression=_first(fields.get_all("License-Expression", [])),
        licences=(*classifiers, *words),
        homepages=tuple(url for label, url in links if label.replace("-", "").replace(" ", "") == "homepage"),
        addresses=tuple(url for _, url in links),
    )


def _first(values: Sequence[str]) -> str:
    return values[0] if values else ""


def differences(topic: Framework, package: PackageMetadata) -> Iterator[tuple[PackageFact, str]]:
    """Each fact that the package states otherwise, with a sentence; those that the topic explains are left out."""
    for fact, check in _CHECKS.items():
        if fact not in topic.differs and (message := check(topic, package)):
            yield fact, message


def unneeded_explanations(topic: Framework, package: PackageMetadata) -> Iterator[str]:
    """A sentence for each fact whose difference the topic explains, though there is none."""
    for fact in topic.differs:
        if not _CHECKS[fact](topic, package):
            yield f"differs explains {fact}, but {topic.package} does not state otherwise"


def _python(topic: Framework, package: PackageMetadata) -> str | None:
    try:
        same = not package.python or SpecifierSet(topic.python) == SpecifierSet(package.python)
    except InvalidSpecifier:
        return None
    return None if same else f"python is {topic.python}, but {topic.package} states {package.python}"


def _licence(topic: Framework, package: PackageMetadata) -> str | None:
    if package.expression:
        named = [package.expression, *re.findall(r"[\w.+-]+", package.expression)]
        return None if topic.licence in named else _other_licence(topic, package.expression)
    families = {family for words in package.licences if (family := _family(words))}
    return None if not families or _family(topic.licence) in families else _other_licence(topic, package.licences[0])


def _other_licence(topic: Framework, what: str) -> str:
    return f"licence is {topic.licence}, but {topic.package} states {what}"


def _family(words: str) -> str | None:
    """Free words name a licence only roughly: `BSD License` fits both BSD-2-Clause and BSD-3-Clause."""
    folded = words.casefold()
    return next((family for name, family in _FAMILIES.items() if re.search(rf"\b{name}|{name}\b", folded)), None)


def _homepage(topic: Framework, package: PackageMetadata) -> str | None:
    if not package.homepages or _bare(topic.homepage) in map(_bare, package.addresses):
        return None
    return f"homepage is {topic.homepage}, but {topic.package} states {package.homepages[0]}"


def _bare(url: str) -> str:
    """The address without what makes no difference."""
    parts = urlsplit(url.casefold())
    return parts.netloc.removeprefix("www.") + parts.path.rstrip("/")


_CHECKS = {PackageFact.LICENCE: _licence, PackageFact.PYTHON: _python, PackageFact.HOMEPAGE: _homepage}
