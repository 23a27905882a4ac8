"""A trial: one topic's example against the package itself."""

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker

from weekbot.content.loading.topic_file import TopicFile
from weekbot.content.model import Framework
from weekbot.content.problems import Problem
from weekbot.examples import import_check
from weekbot.examples.environment import CommandResult, Environment, InstallError, temporary_environment
from weekbot.examples.package_metadata import PackageMetadata, differences, read_metadata, unneeded_explanations

RUN_SECONDS = 120
MAX_SHOWN = 400  # characters of an output
_MATCHING = ELLIPSIS | NORMALIZE_WHITESPACE


@dataclass
class Trial:
    """What became of an example; `ran` is False where it is only compiled and its imports resolved."""

    slug: str
    ran: bool
    problems: list[Problem] = field(default_factory=list)
    install_seconds: float = 0
    run_seconds: float = 0


async def try_example(file: TopicFile, topic: Framework) -> Trial:
    """Install what the topic pins into an environment of its own, run its example, and compare.

    Raises UvMissingError; everything else that goes wrong is a problem of the trial.
    """
    trial, begun = Trial(topic.slug, ran=topic.not_run is None), time.perf_counter()
    try:
        async with temporary_environment(
            topic.python, [f"{topic.package}=={topic.version}", *topic.needs]
        ) as environment:
            trial.install_seconds = time.perf_counter() - begun
            trial.problems += _facts(file, topic, read_metadata(environment.distribution(topic.package)))
            begun = time.perf_counter()
            trial.problems += await _example(file, topic, environment)
            trial.run_seconds = time.perf_counter() - begun
    except InstallError as error:
        trial.problems.append(_of_fact(file, "version", f"{topic.package} cannot be installed: {error}"))
    return trial


def _facts(file: TopicFile, topic: Framework, package: PackageMetadata) -> Iterator[Problem]:
    yield from (_of_fact(file, fact, message) for fact, message in differences(topic, package))
    yield from (_of_fact(file, "differs", message) for message in unneeded_explanations(topic, package))


async def _example(file: TopicFile, topic: Framework, environment: Environment) -> list[Problem]:
    """Its problems where it is run; where it is not, those of its imports."""
    name = shlex.split(topic.run)[-1]
    (environment.folder / name).write_text(topic.body.first_steps.example + "\n", "utf-8")
    if topic.not_run is None:
        finished = await environment.run(*shlex.split(topic.run), seconds=RUN_SECONDS)
        messages = _unexpected(finished, topic.body.first_steps.output or "")
    elif topic.body.first_steps.language == "python":
        resolve = ("python", import_check.__file__, name)
        messages = _unresolved(await environment.run(*resolve, seconds=RUN_SECONDS))
    else:
        messages = iter(())
    return [Problem(file.path, file.body.position(("first_steps", part)), message) for part, message in messages]


def _unexpected(finished: CommandResult, wanted: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a run, each with the part of the first steps that it concerns."""
    if finished.exit_code is None:
        yield "example", f"the example did not end within {RUN_SECONDS} seconds"
    elif finished.exit_code != 0:
        yield "example", f"the example ended with exit code {finished.exit_code}: {_last_line(finished.errors)}"
    elif not OutputChecker().check_output(f"{wanted}\n", f"{finished.output.strip()}\n", _MATCHING):
        yield "output", f"the example prints something else: {_shown(finished.output)}"


def _unresolved(finished: CommandResult) -> Iterator[tuple[str, str]]:
    if finished.exit_code != 0:
        yield "example", f"the example cannot be compiled or imported: {_last_line(finished.errors)}"
    yield from (("example", f"cannot be imported: {line}") for line in finished.output.splitlines())


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1][:300]


def _shown(output: str) -> str:
    text = " | ".join(output.strip().splitlines())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _of_fact(file: TopicFile, fact: str, message: str) -> Problem:
    return Problem(file.path, file.facts.position((fact,)), message)
