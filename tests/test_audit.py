"""`make audit` doesn't pass if vulnerabilities couldn't be looked up."""

from typing import Any

from audit import NOT_AUDITED, verdict

WELL = {"name": "flask", "version": "3.1.0", "vulns": []}
ILL = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}
UNKNOWN: dict[str, Any] = {"name": "mystery", "skip_reason": "Dependency not found on PyPI"}


def test_no_vulnerability_passes() -> None:
    assert verdict([WELL], if_reachable=False) == (0, "1 packages, no known vulnerability")


def test_a_vulnerability_fails_and_says_what_mends_it() -> None:
    assert verdict([WELL, ILL], if_reachable=True) == (1, "idna 3.6: PYSEC-2024-60, fixed in 3.7")


def test_a_package_that_pypi_does_not_know_fails() -> None:
    assert verdict([WELL, UNKNOWN], if_reachable=True) == (1, "mystery: Dependency not found on PyPI")


def test_nothing_looked_up_is_said_and_passes_only_where_that_is_wanted() -> None:
    for packages in ([], [UNKNOWN, UNKNOWN]):
        assert verdict(packages, if_reachable=False) == (1, NOT_AUDITED)
        assert verdict(packages, if_reachable=True) == (0, NOT_AUDITED)
