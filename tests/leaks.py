"""The tests' secrets, which no log, output or request may contain."""

import re

SECRET = re.compile(
    r"test\.bot\.token"  # the loopback Discord's
    r"|token-of-\d+|simcord_interaction_\d+"  # interaction tokens: the loopback Discord's, and a simulated one's
    r"|hunter2|a-password-of-the-database"
)
CONTEXT = 200


def found(text: str) -> str | None:
    """Return the first secret in a text with some context."""
    match = SECRET.search(text)
    return match and text[max(0, match.start() - CONTEXT) : match.end() + CONTEXT]


def require_none(*texts: str) -> None:
    """Raise an AssertionError with the context of a secret if one of the texts contains one."""
    for text in texts:
        assert (leak := found(text)) is None, f"a secret was disclosed: … {leak} …"
