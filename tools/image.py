"""`make image`: runs the Dockerfile's COPY and RUN steps without Docker, and tests the result without write access."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
COMMANDS = ("--version", "content check", "db upgrade")
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")  # root can write everywhere
COMMIT = "0123456789ab"  # the build argument


def instructions(dockerfile: str, stage: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction of the stage ("" is the unnamed one) with its arguments on one line."""
    current = None
    for line in re.sub(r"\\\n", "", re.sub(r"(?m)^#.*\n", "", dockerfile)).splitlines():
        word, _, given = line.partition(" ")
        if word == "FROM":
            current = given.partition(" AS ")[2]
        elif word and current == stage:
            yield word, given


def build(dockerfile: str, root: Path) -> None:
    """Build the image's /opt in the folder's opt/."""
    _run(sys.executable, "-m", "venv", str(root / "base"))
    values = {**os.environ, "PATH": f"{root / 'base' / 'bin'}:{os.environ['PATH']}", "COMMIT": COMMIT}
    for word, given in instructions(dockerfile, "build"):
        if word == "ARG":
            name, _, value = given.partition("=")
            values.setdefault(name, value)
        elif word == "COPY":
            *names, target = given.split()
            for name in names:
                _copy(PROJECT / name, root / "src" / target)
        elif word == "RUN":
            _run("sh", "-c", given.replace("/opt/", f"{root}/opt/"), cwd=root / "src", env=values)


def _copy(origin: Path, target: Path) -> None:
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin, target)


def environment(dockerfile: str, root: Path) -> dict[str, str]:
    """Return the variables of the last stage."""
    given = shlex.split(" ".join(given for word, given in instructions(dockerfile, "") if word == "ENV"))
    values = dict(each.split("=", 1) for each in given)
    placed = {name: re.sub(r"/(?=(opt|data)/)", f"{root}/", value) for name, value in values.items()}
    return placed | {"PATH": placed["PATH"].replace("$PATH", os.environ["PATH"])}


def test(root: Path, values: dict[str, str]) -> None:
    """Run weekbot with write access to its data folder only."""
    (root / "data").mkdir(mode=0o700)
    _run("chmod", "-R", "a-w", str(root / "opt"))
    prefix = UNPRIVILEGED if os.getuid() == 0 else ()
    for arguments in COMMANDS:
        _run(*prefix, "weekbot", *arguments.split(), cwd=root / "data", env=values)
    knows = f"from weekbot.runtime.build_info import build_info; raise SystemExit(build_info()['commit'] != '{COMMIT}')"
    _run("python", "-c", knows, env=values)
    (root / "secrets").mkdir()
    (root / "secrets" / "WEEKBOT_DATABASE_URL").write_text(f"sqlite:///{root}/data/secret.db\n")
    values["CREDENTIALS_DIRECTORY"] = f"{root}/secrets"  # because /run/secrets is the machine's
    _run(*prefix, "weekbot", "db", "upgrade", cwd=root / "data", env=values)
    if {each.name for each in (root / "data").glob("*.db")} != {"weekbot.db", "secret.db"}:
        raise SystemExit("A secret file with the database's address doesn't override the image's setting.")


def _run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True)  # noqa: S603 - the project's own


def main() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            build(dockerfile, root)
            test(root, environment(dockerfile, root))
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"This step failed: {shlex.join(error.cmd)}") from error


if __name__ == "__main__":
    main()
