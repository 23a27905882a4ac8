"""`weekbot content test`: examples run in real environments, with a package built for the test."""

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tiny_package import METADATA, write_content, write_wheel
from weekbot.cli.main import cli
from weekbot.content.library import Library
from weekbot.content.model import Framework, PackageFact
from weekbot.examples import trial
from weekbot.examples.package_metadata import PackageMetadata, differences
from weekbot.runtime.errors import WeekbotError

PYTHON = 'python: ">=3.9"'
GREETING = "from tiny_package import greet\nprint(greet('Ada'))"


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prepare a folder for the topic, and another one in which uv finds the package without an index."""
    write_wheel(tmp_path / "wheels")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("WEEKBOT_CONTENT_DIR", str(tmp_path / "content"))
    return tmp_path / "content"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["content", "test", *arguments])


def problems(*arguments: str) -> list[str]:
    """Return the output for each problem, from its line on."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return [line.partition("tiny.md:")[2] for line in result.stdout.splitlines()]


def line_of(path: Path, text: str) -> int:
    return path.read_text("utf-8").split("\n").index(text) + 1


def test_an_example_with_the_expected_output_passes(content: Path) -> None:
    write_content(content, GREETING, "Hello, Ada")
    result = run()
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "tiny 1.2.0: ran" in result.stderr
    assert "1 examples: 1 ran and match, 0 compiled and imported only, 0 with problems" in result.stderr


def test_three_dots_match_anything_and_white_space_is_collapsed(content: Path) -> None:
    write_content(content, "print('a', id(object()))\nprint('b     c')", "a ...\nb c")
    assert run().exit_code == 0


def test_a_different_output_is_reported_at_the_output(content: Path) -> None:
    path = write_content(content, GREETING, "Hello, Bob")
    line = line_of(path, "Hello, Bob")
    assert problems() == [f"{line}:1: the example prints something else: Hello, Ada"]


def test_a_failing_example_is_reported_with_its_error(content: Path) -> None:
    path = write_content(content, "print('so far')\n1 / 0", "so far")
    line = line_of(path, "print('so far')")
    assert problems() == [f"{line}:1: the example ended with exit code 1: ZeroDivisionError: division by zero"]


def test_an_example_that_does_not_end_is_killed_with_its_child_processes(
    content: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trial, "RUN_SECONDS", 1)
    sign = tmp_path / "sign"
    child = f"import time; time.sleep(3); open({str(sign)!r}, 'w')"
    write_content(
        content,
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)",
        "nothing",
    )
    start = time.monotonic()
    assert problems()[0].endswith("the example did not end within 1 seconds")
    assert time.monotonic() - start < 30
    time.sleep(3.5)
    assert not sign.exists()


def test_an_example_does_not_inherit_the_callers_environment(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEEKBOT_DISCORD_TOKEN", "secret")
    write_content(content, "import os\nprint(sorted(k for k in os.environ if 'WEEKBOT' in k))", "[]")
    assert run().exit_code == 0


def test_an_example_runs_by_its_own_command(content: Path) -> None:
    facts = "run: python -m unittest -q test_greeting.py\n"
    write_content(content, "import unittest\nclass Test(unittest.TestCase):\n  def test(self): pass", "", facts=facts)
    path = content / "topics" / "tiny.md"
    path.write_text(path.read_text("utf-8").replace("```text\n\n```\n\n", "```text\n...\n```\n\n"), "utf-8")
    assert run().exit_code == 0


def test_an_unknown_command_is_reported_at_the_example(content: Path) -> None:
    write_content(content, GREETING, "Hello, Ada", facts="run: pyhton example.py\n")
    assert problems()[0].endswith("the example ended with exit code 127: there is no command pyhton")


def test_a_missing_package_version_is_reported_at_the_version(content: Path) -> None:
    path = write_content(content, GREETING, "Hello, Ada")
    path.write_text(path.read_text("utf-8").replace("version: 1.2.0", "version: 7.0.0"), "utf-8")
    [problem] = problems()
    assert problem.startswith(f"{line_of(path, 'version: 7.0.0')}:1: tiny-package cannot be installed: ")


def test_the_examples_requirements_are_installed(content: Path) -> None:
    write_content(content, GREETING, "Hello, Ada", facts="needs: [not-there==1.0]\n")
    assert "not-there" in problems()[0]


def test_a_fact_that_differs_from_the_package_is_reported_at_the_fact(content: Path, tmp_path: Path) -> None:
    other = METADATA.replace("MIT", "Apache-2.0").replace(">=3.9", ">=3.10").replace("https://tiny", "https://big")
    write_wheel(tmp_path / "wheels", metadata=other)
    path = write_content(content, GREETING, "Hello, Ada")
    assert problems() == [
        f"{line_of(path, 'homepage: https://tiny.example.org/')}:1: homepage is https://tiny.example.org/, "
        "but tiny-package states https://big.example.org",
        f"{line_of(path, 'licence: MIT')}:1: licence is MIT, but tiny-package states Apache-2.0",
        f"{line_of(path, PYTHON)}:1: python is >=3.9, but tiny-package states >=3.10",
    ]


def test_an_explained_difference_passes(content: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", metadata=METADATA.replace("MIT", "Apache-2.0"))
    write_content(content, GREETING, "Hello, Ada", facts="differs:\n  licence: The wheel is wrong.\n")
    assert run().exit_code == 0


def test_an_explanation_without_a_difference_is_a_problem(content: Path) -> None:
    write_content(content, GREETING, "Hello, Ada", facts="differs:\n  licence: The wheel is wrong.\n")
    assert problems()[0].endswith("differs explains licence, but tiny-package does not state otherwise")


def test_an_example_that_is_not_run_is_compiled_and_its_imports_are_checked(content: Path) -> None:
    example = "from tiny_package import greet\nimport json\nraise SystemExit('it was run')"
    write_content(content, example, facts="not_run: It opens a window.\n")
    result = run()
    assert result.exit_code == 0, result.output
    assert "compiled and imported only: It opens a window." in result.stderr


def test_a_failing_import_is_reported(content: Path) -> None:
    example = "from tiny_package import greet, leave\nimport not_there"
    write_content(content, example, facts="not_run: It opens a window.\n")
    not_there, leave = problems()
    assert "cannot be imported: tiny_package.leave: ModuleNotFoundError" in leave
    assert "cannot be imported: not_there: ModuleNotFoundError" in not_there


def test_an_example_that_is_not_run_must_be_valid_python(content: Path) -> None:
    write_content(content, "def greet(:", facts="not_run: It opens a window.\n")
    assert "cannot be compiled or imported: SyntaxError" in problems()[0]


def test_an_example_in_another_language_is_not_compiled(content: Path) -> None:
    write_content(content, "*** Test Cases ***", facts="not_run: It opens a window.\n", language="robotframework")
    assert run().exit_code == 0


def test_a_newer_release_is_reported_on_request(content: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", version="1.3.0")
    write_wheel(tmp_path / "wheels", version="2.0.0rc1")
    path = write_content(content, GREETING, "Hello, Ada")
    assert run().exit_code == 0
    line = line_of(path, "version: 1.2.0")
    assert problems("--latest") == [f"{line}:1: version is 1.2.0, but 1.3.0 is out; review the topic with it"]


def test_heavy_examples_are_skipped_with_light(content: Path) -> None:
    write_content(content, GREETING, "wrong", facts="heavy: true\n")
    result = run("--light")
    assert result.exit_code == 0
    assert "0 examples" in result.stderr


def test_an_unknown_topic_is_reported(content: Path) -> None:
    write_content(content, GREETING, "Hello, Ada")
    result = run("tyni")
    assert isinstance(result.exception, WeekbotError)
    assert "tyni isn't a topic" in str(result.exception)


def test_a_missing_uv_is_reported_with_the_package_to_install(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_content(content, GREETING, "Hello, Ada")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert "pip install 'weekbot[content]'" in str(run().exception)


def test_no_temporary_file_remains(content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    write_content(content, "open('left', 'w').write('x')\nprint('done')", "done")
    assert run().exit_code == 0
    assert list(temporary.iterdir()) == []


# Package metadata, without an environment


NOTHING = PackageMetadata("", "", (), (), ())


@pytest.mark.parametrize(
    ("stated", "matches"),
    [
        (PackageMetadata("", "BSD-3-Clause", (), (), ()), True),
        (PackageMetadata("", "BSD-3-Clause AND MIT AND (Zlib OR CC0-1.0)", (), (), ()), True),
        (PackageMetadata("", "BSD-2-Clause", (), (), ()), False),
        (PackageMetadata("", "", ("License :: OSI Approved :: BSD License",), (), ()), True),
        (PackageMetadata("", "", ("License :: OSI Approved :: MIT License",), (), ()), False),
        (PackageMetadata("", "", ("BSD",), (), ()), True),
        (PackageMetadata("", "", ("Apache 2.0",), (), ()), False),
        (PackageMetadata("", "", ("see LICENSE",), (), ()), True),
        (NOTHING, True),
    ],
)
def test_a_licence_is_compared_as_precisely_as_the_package_states_it(
    library: Library, stated: PackageMetadata, matches: bool
) -> None:
    flask = framework(library, "flask")
    assert [fact for fact, _ in differences(flask, stated)] == ([] if matches else [PackageFact.LICENCE])


@pytest.mark.parametrize(
    ("python", "matches"), [(">=3.9,<4", True), ("<4,>=3.9", True), (">=3.9", False), ("", True), ("nonsense", True)]
)
def test_python_version_ranges_are_equal_in_any_order(library: Library, python: str, matches: bool) -> None:
    flask = framework(library, "flask").model_copy(update={"python": ">=3.9,<4"})
    assert (not list(differences(flask, PackageMetadata(python, "", (), (), ())))) == matches


@pytest.mark.parametrize(
    ("homepages", "addresses", "matches"),
    [
        (("http://www.flask.example.org",), ("http://www.flask.example.org",), True),
        (("https://pallets.example.org/",), ("https://pallets.example.org/", "https://flask.example.org"), True),
        (("https://pallets.example.org/",), ("https://pallets.example.org/",), False),
        ((), ("https://pallets.example.org/",), True),
    ],
)
def test_a_homepage_is_one_of_the_addresses_that_the_package_states(
    library: Library, homepages: tuple[str, ...], addresses: tuple[str, ...], matches: bool
) -> None:
    flask = framework(library, "flask").model_copy(update={"homepage": "https://flask.example.org/"})
    assert (not list(differences(flask, PackageMetadata("", "", (), homepages, addresses)))) == matches


def test_only_differences_may_be_explained(library: Library) -> None:
    flask = framework(library, "flask").model_copy(update={"differs": {PackageFact.LICENCE: "It is so."}})
    assert [place for place, _ in differences(flask, NOTHING)] == ["differs"]
    assert not list(differences(flask, PackageMetadata("", "MIT", (), (), ())))


def framework(library: Library, slug: str) -> Framework:
    topic = library.topics[slug]
    assert isinstance(topic, Framework)
    return topic
