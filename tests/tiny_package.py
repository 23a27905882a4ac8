"""A package built for a test, and a topic about it, so that `weekbot content test` needs no package index."""

from pathlib import Path
from zipfile import ZipFile

TOPIC = """\
---
kind: framework
title: Tiny
category: testing
summary: A package for a test.
package: tiny-package
homepage: https://tiny.example.org/
docs: https://tiny.example.org/docs
source: https://tiny.example.org/source
licence: MIT
first_release: 2020
status: active
python: ">=3.9"
version: 1.2.0
{facts}tags: []
sources: [https://tiny.example.org/docs]
reviewed: 2026-11-24
---

## What it is

Tiny.

## When to choose it

In tests.

## When not to

Elsewhere.

## First steps

```sh
pip install tiny-package
```

```{language}
{example}
```

{output}## The week

1. One.
2. Two.
3. Three.
4. Four.
5. Five.
6. Six.
7. Seven.

## Discuss

Which one?

## Quiz

Which one?

- [ ] One
- [x] Two
- [ ] Three
- [ ] Four

Because.
"""
METADATA = """\
Metadata-Version: 2.4
Name: tiny-package
Version: {version}
Requires-Python: >=3.9
License-Expression: MIT
Project-URL: Homepage, https://tiny.example.org
"""
TRACKS = "tracks: {everything: {title: Everything, summary: All., topics: [tiny]}}"


def write_wheel(folder: Path, version: str = "1.2.0", metadata: str = METADATA) -> None:
    """Write a wheel of `tiny_package` with one function, `greet`."""
    folder.mkdir(exist_ok=True)
    info = f"tiny_package-{version}.dist-info"
    files = {
        "tiny_package/__init__.py": "def greet(name):\n    return f'Hello, {name}'\n",
        f"{info}/METADATA": metadata.format(version=version),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with ZipFile(folder / f"tiny_package-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)


def topic(example: str, output: str | None = None, *, facts: str = "", language: str = "python") -> str:
    """Return the text of a topic file about the package."""
    block = "" if output is None else f"```text\n{output}\n```\n\n"
    return TOPIC.format(facts=facts, example=example, output=block, language=language)


def write_content(
    folder: Path, example: str, output: str | None = None, *, facts: str = "", language: str = "python"
) -> Path:
    """Write a content folder whose only topic is about the package, and return the topic's file."""
    path = folder / "topics" / "tiny.md"
    path.parent.mkdir(parents=True)
    path.write_text(topic(example, output, facts=facts, language=language), "utf-8")
    (folder / "tracks.yaml").write_text(TRACKS, "utf-8")
    return path
