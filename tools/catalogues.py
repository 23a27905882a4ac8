"""`make catalogues`: bring the catalogues of `src/weekbot/i18n/locale` up to date with what the code says.

What is new is added untranslated, what is gone is removed, translations stay. Messages are found in the code's syntax
tree, the words of slash commands in the command tree, and the headings of topics in their model.
"""

import ast
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
PACKAGES = ("bot", "delivery", "discord_io", "domain")  # with the files below, all that holds texts for Discord
FILES = ("db/errors.py", "store/members.py", "store/reconciliations.py", "store/steps.py", "store/subscriptions.py")
DELIVERY_ERRORS = SOURCE / "delivery" / "errors.py"
FOR_OPERATORS = ("DatabaseUnusableError", "FencedError", "TokenError")
KEYWORDS = {  # what is called with messages: how many of its first arguments are one
    **dict.fromkeys(("tr", "N_", "WeekbotError", "PermanentError", "RetryableError"), 1),
    **dict.fromkeys(("AmbiguousError", "HistoryUnreadableError"), 1),
    "plural": 2,
}


def template() -> Catalog:
    """All messages, untranslated, each with the files that have it."""
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
    """The language's catalogue as it should be."""
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
    return _without_dates(written.getvalue())


def _without_dates(text: bytes) -> bytes:
    """They would change with every run, and differ from machine to machine."""
    headers = (
        b'"Project-Id',
        b'"Language-Team',
        b'"POT-Creation-Date',
        b'"PO-Revision-Date',
        b'"Last-Translator',
        b'"Generated-By',
        b'"Report-Msgid',
    )
    return b"\n".join(line for line in text.split(b"\n") if not line.startswith(headers))


def _in_code() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found = _messages(node) if isinstance(node, ast.Call) else _sentence(path, node)
            if found:
                yield path.relative_to(SOURCE).as_posix(), found if len(found) > 1 else found[0]


def _messages(call: ast.Call) -> tuple[str, ...]:
    """What the call has to be translated; nothing where that is a variable, whose text is marked where it stands."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    arguments = call.args[: KEYWORDS.get(name, 0)]
    texts = [argument.value for argument in arguments if isinstance(argument, ast.Constant)]
    return tuple(text for text in texts if isinstance(text, str))


def _sentence(path: Path, node: ast.AST) -> tuple[str, ...]:
    """An error's docstring is its sentence; delivery errors are never raised without another."""
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


def _files() -> list[Path]:
    files = [path for package in PACKAGES for path in (SOURCE / package).rglob("*.py")]
    return sorted([*files, *(SOURCE / name for name in FILES)])


def main() -> None:
    messages = template()
    for locale in LOCALES[1:]:
        path = catalogue_file(locale)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(updated(locale, messages))
        sys.stdout.write(f"{path.relative_to(SOURCE)}: {len(messages)} messages\n")


if __name__ == "__main__":
    main()
