"""Markdown parsers set up as Discord reads Markdown."""

import re

from markdown_it import MarkdownIt


class _AsWritten(MarkdownIt):
    """Accepts each link, and leaves its address as it is, so that all addresses can be checked."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link


# To Discord, rules, underlined headings and indented code are plain text.
BLOCKS = MarkdownIt("commonmark").disable(["inline", "hr", "lheading", "code"])
INLINE = _AsWritten("commonmark")
_BLOCK_START = re.compile(r"\s*([-*+>]|\d+[.)])\s")


def one_line(text: str) -> str:
    return " ".join(text.split())


def unwrap(text: str) -> str:
    """Put each paragraph and list item on one line, because Discord shows all line breaks."""
    lines: list[str] = []
    in_code = after_code = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        starts_block = in_code or fence or after_code or _BLOCK_START.match(line)
        continues = lines and lines[-1] and line.strip() and not starts_block
        in_code, after_code = in_code ^ fence, fence and in_code
        if continues:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.rstrip())
    return "\n".join(lines)
