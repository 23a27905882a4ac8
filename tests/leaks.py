"""The secrets of the tests, which stand in nothing that is logged, written or sent, whatever a test is about."""

import re

SECRET = re.compile(
    r"test\.bot\.token"  # the loopback Discord's
    r"|token-of-\d+|simcord_interaction_\d+"  # of an interaction with it, and with a simulated one
    r"|hunter2|a-password-of-the-database"
)
AROUND = 200


def found(text: str) -> str | None:
    """The first secret in a text, and what stands around it."""
    match = SECRET.search(text)
    return match and text[max(0, match.start() - AROUND) : match.end() + AROUND]


def require_none(*texts: str) -> None:
    """Raise an AssertionError that shows a secret in the texts, if there is one."""
    for text in texts:
        assert (leak := found(text)) is None, f"a secret was told: … {leak} …"
