"""`make audit` doesn't pass if vulnerabilities couldn't be looked up."""

from typing import Any

from audit import NOT_AUDITED, verdict

SAFE = {"name": "flask", "version": "3.1.0", "vulns": []}
VULNERABLE = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}
UNKNOWN: dict[str, Any] = {"name": "mystery", "skip_reason": "Dependency not found on PyPI"}


def test_a_package_without_vulnerabilities_passes() -> None:
    assert verdict([SAFE], if_reachable=False) == (0, "1 packages, no known vulnerability")


def test_a_vulnerability_fails_with_the_fixed_version() -> None:
    assert verdict([SAFE, VULNERABLE], if_reachable=True) == (1, "idna 3.6: PYSEC-2024-60, fixed in 3.7")


def test_a_package_that_is_not_on_pypi_fails() -> None:
    assert verdict([SAFE, UNKNOWN], if_reachable=True) == (1, "mystery: Dependency not found on PyPI")


def test_an_unreachable_index_is_reported_and_fails_unless_allowed() -> None:
    for packages in ([], [UNKNOWN, UNKNOWN]):
        assert verdict(packages, if_reachable=False) == (1, NOT_AUDITED)
        assert verdict(packages, if_reachable=True) == (0, NOT_AUDITED)
