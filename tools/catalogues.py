"""`make catalogues`: updates the catalogues of `src/weekbot/i18n/locale` from the code, and keeps translations.

Messages are found in the syntax tree, names of slash commands in the command tree, headings of topics in their models.
"""

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import cast

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from weekbot.bot.commands import Command, described_commands
from weekbot.bot.commands.translator import words_of
from weekbot.content.model import ConceptBody, FrameworkBody
from weekbot.i18n.language import DOMAIN, LOCALES, catalogue_file

SOURCE = Path(__file__).parents[1] / "src" / "weekbot"
PACKAGES = ("bot", "delivery", "discord_io", "domain")  # with the files below, all that contain texts for Discord
FILES = ("db/errors.py", "store/members.py", "store/reconciliations.py", "store/steps.py", "store/subscriptions.py")
DELIVERY_ERRORS = SOURCE / "delivery" / "errors.py"
FOR_OPERATORS = ("DatabaseUnusableError", "FencedError", "TokenError")
KEYWORDS = {  # the functions that take messages, and how many of their first arguments are messages
    **dict.fromkeys(("tr", "N_", "WeekbotError", "PermanentError", "RetryableError"), 1),
    **dict.fromkeys(("AmbiguousError", "HistoryUnreadableError"), 1),
    "plural": 2,
}


def template() -> Catalog:
    """Return a catalogue of all messages, untranslated, with their files."""
    catalogue = Catalog(domain=DOMAIN, project="weekbot", fuzzy=False)
    for place, message in _in_code():
        catalogue.add(message, None, [(place, 1)])
    for context, word in (each for command in commands() for each in words_of(command)):
        catalogue.add(word, None, [("slash-commands", 1)], context=context)
    for body in (FrameworkBody, ConceptBody):
        for field in body.model_fields.values():
            catalogue.add(str(field.title), None, [("headings-of-topics", 1)])
    return catalogue


def updated(locale: str, messages: Catalog) -> bytes:
    path = catalogue_file(locale)
    catalogue = Catalog(locale, DOMAIN, fuzzy=False)
    if path.exists():
        with path.open("rb") as file:
            catalogue = read_po(file, locale, DOMAIN)
    catalogue.update(messages, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.header_comment = f"# weekbot in {locale}; `make catalogues` keeps it up to date with the code."
    written = BytesIO()
    write_po(written, catalogue, width=110, sort_output=True, include_lineno=False)
    return _without_volatile_headers(written.getvalue())


def _without_volatile_headers(text: bytes) -> bytes:
    """Remove headers that change with each run, or differ between machines."""
    return re.sub(
        rb'(?m)^"(Project-Id|Language-Team|POT-|PO-Revision|Last-Translator|Generated-By|Report-).*\n', b"", text
    )


def _in_code() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    files = [path for package in PACKAGES for path in (SOURCE / package).rglob("*.py")]
    for path in sorted([*files, *(SOURCE / name for name in FILES)]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found = _messages(node) if isinstance(node, ast.Call) else _sentence(path, node)
            if found:
                yield path.relative_to(SOURCE).as_posix(), found if len(found) > 1 else found[0]


def _messages(call: ast.Call) -> tuple[str, ...]:
    """Return the literal messages in the call; the text of a variable is marked where it is defined."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    arguments = call.args[: KEYWORDS.get(name, 0)]
    texts = [argument.value for argument in arguments if isinstance(argument, ast.Constant)]
    return tuple(text for text in texts if isinstance(text, str))


def _sentence(path: Path, node: ast.AST) -> tuple[str, ...]:
    """Return an error's docstring, which is its default sentence; delivery errors always have another."""
    is_error = (
        path != DELIVERY_ERRORS
        and isinstance(node, ast.ClassDef)
        and node.name not in FOR_OPERATORS
        and [ast.unparse(base) for base in node.bases] == ["WeekbotError"]
    )
    text = ast.get_docstring(cast("ast.ClassDef", node)) if is_error else None
    return (text,) if text else ()


def commands() -> list[Command]:
    """Return all commands, including those that exist only with a home channel."""
    return described_commands(has_home_channel=True)


def main() -> None:
    messages = template()
    for locale in LOCALES[1:]:
        path = catalogue_file(locale)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(updated(locale, messages))
        sys.stdout.write(f"{path.relative_to(SOURCE)}: {len(messages)} messages\n")


if __name__ == "__main__":
    main()
