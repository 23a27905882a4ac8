"""Looks up the newest releases of packages in the package index."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from weekbot.examples.environment import uv

PYTHON_VERSION = "3.13"  # an older Python would miss releases that need a newer one


async def newest_releases(packages: Iterable[str]) -> dict[NormalizedName, str]:
    """Return the newest stable release of each package. Raises InstallError and UvMissingError."""
    arguments = ("pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--python-version", PYTHON_VERSION, "-")
    with tempfile.TemporaryDirectory() as folder:
        pinned = await uv(*arguments, folder=Path(folder), stdin="\n".join(packages))
    requirements = [Requirement(line) for line in pinned.splitlines() if "==" in line]
    return {canonicalize_name(each.name): str(next(iter(each.specifier)).version) for each in requirements}
