"""Runs the examples of `weekbot content test`, several at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer
from packaging.utils import canonicalize_name

from weekbot.cli.problem_format import count
from weekbot.content.library import Library
from weekbot.content.loading.folder import read_folder
from weekbot.content.loading.topic_file import TopicFile
from weekbot.content.model import Framework
from weekbot.content.problems import Position, Problem
from weekbot.examples.environment import InstallError, newest_releases
from weekbot.examples.trial import Trial, try_example
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.printable import printable


async def run_examples(
    directory: Path, slugs: Sequence[str] | None, *, light: bool, latest: bool, jobs: int
) -> list[Problem]:
    """Return the sorted problems of the topics' examples and facts (default: all frameworks)."""
    folder = read_folder(directory)
    chosen, files = _chosen(folder.library(), slugs, light=light), {file.slug: file for file in folder.files}
    at_once = asyncio.Semaphore(jobs)

    async def attempt(topic: Framework) -> Trial:
        async with at_once:
            trial = await try_example(files[topic.slug], topic)
        typer.echo(_line(topic, trial), err=True)
        return trial

    trials = await asyncio.gather(*map(attempt, chosen))
    problems = [problem for trial in trials for problem in trial.problems]
    if latest:
        problems += await _outdated(chosen, files)
    typer.echo(_summary(trials), err=True)
    return sorted(problems)


def _chosen(library: Library, slugs: Sequence[str] | None, *, light: bool) -> list[Framework]:
    frameworks = {slug: topic for slug, topic in library.topics.items() if isinstance(topic, Framework)}
    for slug in slugs or ():
        if slug not in frameworks:
            what = "is a concept and has no example" if slug in library.topics else "isn't a topic"
            raise WeekbotError(f"{slug} {what}; `weekbot content list` shows all topics.")
    return [frameworks[slug] for slug in slugs or frameworks if not (light and frameworks[slug].heavy)]


async def _outdated(topics: Sequence[Framework], files: dict[str, TopicFile]) -> list[Problem]:
    try:
        releases = await newest_releases(topic.package for topic in topics)
    except InstallError as error:
        return [Problem(files[topics[0].slug].path, Position(), f"the newest releases cannot be looked up: {error}")]
    problems = []
    for topic in topics:
        release = releases.get(canonicalize_name(topic.package), topic.version)
        if release != topic.version:
            message = f"version is {topic.version}, but {release} is out; review the topic with it"
            problems.append(files[topic.slug].fact_problem("version", message))
    return problems


def _line(topic: Framework, trial: Trial) -> str:
    seconds = f"installed in {trial.install_seconds:.1f} s, tried in {trial.run_seconds:.1f} s"
    what = "ran" if trial.ran else f"compiled and imported only: {printable(topic.not_run or '')}"
    return f"{topic.slug} {topic.version}: {count(trial.problems) if trial.problems else what} ({seconds})"


def _summary(trials: Sequence[Trial]) -> str:
    good = [trial for trial in trials if not trial.problems]
    ran = sum(trial.ran for trial in good)
    only = f"{len(good) - ran} compiled and imported only"
    return f"{len(trials)} examples: {ran} ran and match, {only}, {len(trials) - len(good)} with problems"
