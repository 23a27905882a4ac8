"""Writes the file of a new topic, with all parts to fill in."""

from datetime import UTC, datetime
from pathlib import Path

from weekbot.content.field_types import ANSWERS, DAYS, is_slug
from weekbot.content.model import Category, ConceptBody, FrameworkBody
from weekbot.runtime.errors import WeekbotError

MODELINE = "# yaml-language-server: $schema=../topic.schema.json"
_COMMON = """\
title: {title}
category:  # {categories}
aliases: []
summary:  # one sentence that ends with a full stop
"""
_PACKAGE = """\
package:  # its name on PyPI
homepage: https://
docs: https://
source: https://
licence:  # an SPDX identifier
first_release:  # a year
status: active
python: ">="
version:  # the newest release; the example is run with it
"""
_END = """\
tags: []
related: []
sources:
  - https://
reviewed: {today}
"""
_TEXTS = {
    "First steps": "```sh\n```\n\n```python\n```\n\n```text\n```",
    "The week": "\n".join(f"{day}." for day in range(1, DAYS + 1)),
    "Quiz": "\n".join(["- [x] ", *["- [ ] "] * (ANSWERS - 1)]),
}


def scaffold(directory: Path, slug: str, *, concept: bool) -> Path:
    """Write the file. Raises WeekbotError if the slug is invalid or taken, or the file can't be written."""
    if not is_slug(slug):
        raise WeekbotError(f"{slug} isn't a slug. Use lowercase letters, digits and hyphens, such as my-topic.")
    path = directory / "topics" / f"{slug}.md"
    if not directory.is_dir():
        raise WeekbotError(f"{directory} isn't a folder; check WEEKBOT_CONTENT_DIR.")
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_template(slug, concept=concept))
    except FileExistsError:
        raise WeekbotError(f"{path} already exists; edit it, or choose another slug.") from None
    except OSError as error:
        raise WeekbotError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _template(slug: str, *, concept: bool) -> str:
    title = slug.replace("-", " ").capitalize()
    facts = _COMMON.format(title=title, categories=", ".join(Category)) + ("" if concept else _PACKAGE)
    kind, body = ("concept", ConceptBody) if concept else ("framework", FrameworkBody)
    headings = [str(field.title) for field in body.model_fields.values()]
    sections = "\n".join(f"## {heading}\n\n{_TEXTS.get(heading, '')}\n" for heading in headings)
    return f"---\n{MODELINE}\nkind: {kind}\n{facts}{_END.format(today=datetime.now(UTC).date())}---\n\n{sections}"
