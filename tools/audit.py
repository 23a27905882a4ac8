"""`make audit`: looks up known vulnerabilities of all locked packages on PyPI.

Fails if there are any, and if PyPI is unreachable. With `--if-reachable` an unreachable PyPI is only reported.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
NOT_AUDITED = "NOT AUDITED: PyPI reported nothing about vulnerabilities, so there may be some."


def reported() -> list[dict[str, Any]]:
    """Return pip-audit's entry for each locked package, or none without a connection."""
    files = [f"--requirement={path}" for path in sorted(REQUIREMENTS.glob("*.txt"))]
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner=off", "--format=json", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the project's own
    if result.stdout:
        return list(json.loads(result.stdout)["dependencies"])
    if "connect" in result.stderr.lower():
        return []
    raise SystemExit(f"pip-audit failed:\n{result.stderr}")


def problems(packages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each vulnerability, and for each package that PyPI doesn't know."""
    for package in packages:
        if "skip_reason" in package:
            yield f"{package['name']}: {package['skip_reason']}"
        for each in package.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}"


def verdict(packages: Sequence[dict[str, Any]], *, if_reachable: bool) -> tuple[int, str]:
    """Return the exit code and a message."""
    if all("skip_reason" in package for package in packages):
        return (0 if if_reachable else 1), NOT_AUDITED
    found = list(problems(packages))
    return (1, "\n".join(found)) if found else (0, f"{len(packages)} packages, no known vulnerability")


def main() -> None:
    code, text = verdict(reported(), if_reachable="--if-reachable" in sys.argv[1:])
    sys.stderr.write(f"{text}\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
