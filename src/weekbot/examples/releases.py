"""The newest releases of packages, as the package index has them."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from weekbot.examples.environment import uv

PYTHON_VERSION = "3.13"  # the Python whose releases are meant: an older one would not see those that need a newer


async def newest_releases(packages: Iterable[str]) -> dict[NormalizedName, str]:
    """By package, its newest stable release. Raises InstallError and UvMissingError."""
    arguments = ("pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--python-version", PYTHON_VERSION, "-")
    with tempfile.TemporaryDirectory() as folder:
        pinned = await uv(*arguments, folder=Path(folder), stdin="\n".join(packages))
    requirements = [Requirement(line) for line in pinned.splitlines() if "==" in line]
    return {canonicalize_name(each.name): str(next(iter(each.specifier)).version) for each in requirements}
