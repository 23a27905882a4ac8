"""Runs a topic's example against the real package."""

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
from weekbot.examples.package_metadata import differences, read_metadata

RUN_SECONDS = 120
MAX_SHOWN = 400  # characters of an output
_MATCHING = ELLIPSIS | NORMALIZE_WHITESPACE


@dataclass
class Trial:
    ran: bool  # False if the example is only compiled and its imports are resolved
    problems: list[Problem] = field(default_factory=list)
    install_seconds: float = 0
    run_seconds: float = 0


async def try_example(file: TopicFile, topic: Framework) -> Trial:
    """Run the example with the pinned packages. Raises UvMissingError; all other errors are problems of the trial."""
    trial, begun = Trial(ran=topic.not_run is None), time.perf_counter()
    requirements = [f"{topic.package}=={topic.version}", *topic.needs]
    try:
        async with temporary_environment(topic.python, requirements) as environment:
            trial.install_seconds = time.perf_counter() - begun
            package = read_metadata(environment.distribution(topic.package))
            trial.problems += [file.fact_problem(fact, message) for fact, message in differences(topic, package)]
            begun = time.perf_counter()
            trial.problems += await _check_example(file, topic, environment)
            trial.run_seconds = time.perf_counter() - begun
    except InstallError as error:
        trial.problems.append(file.fact_problem("version", f"{topic.package} cannot be installed: {error}"))
    return trial


async def _check_example(file: TopicFile, topic: Framework, environment: Environment) -> list[Problem]:
    name = shlex.split(topic.run)[-1]
    (environment.folder / name).write_text(topic.body.first_steps.example + "\n", "utf-8")
    if topic.not_run is None:
        result = await environment.run(*shlex.split(topic.run), seconds=RUN_SECONDS)
        messages = _run_problems(result, topic.body.first_steps.output or "")
    elif topic.body.first_steps.language == "python":
        command = ("python", import_check.__file__, name)
        messages = _import_problems(await environment.run(*command, seconds=RUN_SECONDS))
    else:
        messages = iter(())
    return [Problem(file.path, file.body.position(("first_steps", part)), message) for part, message in messages]


def _run_problems(result: CommandResult, expected: str) -> Iterator[tuple[str, str]]:
    """Yield the part of the first steps and a message for each problem of a run."""
    if result.exit_code is None:
        yield "example", f"the example did not end within {RUN_SECONDS} seconds"
    elif result.exit_code != 0:
        yield "example", f"the example ended with exit code {result.exit_code}: {_last_line(result.errors)}"
    elif not OutputChecker().check_output(f"{expected}\n", f"{result.output.strip()}\n", _MATCHING):
        text = " | ".join(result.output.strip().splitlines())
        shown = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
        yield "output", f"the example prints something else: {shown}"


def _import_problems(result: CommandResult) -> Iterator[tuple[str, str]]:
    if result.exit_code != 0:
        yield "example", f"the example cannot be compiled or imported: {_last_line(result.errors)}"
    yield from (("example", f"cannot be imported: {line}") for line in result.output.splitlines())


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1][:300]
