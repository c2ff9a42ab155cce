"""Workflows name what exists: files, make targets, extras, versions, commands of this project."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflows")
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
)


def jobs() -> list[tuple[str, dict]]:
    """Return every job, with its name."""
    read = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
    return [
        (f"{file}: {name}", job) for file, it in read.items() for name, job in it["jobs"].items()
    ]


JOBS = jobs()
RUNS = [(name, step["run"]) for name, job in JOBS for step in job["steps"] if "run" in step]


def words(line: str) -> list[str]:
    """Return the words of a command, without what the workflow puts in."""
    return shlex.split(re.sub(r"\$\{\{.*?\}\}", "", line))


def test_a_site_is_built_where_its_hooks_find_the_package():
    steps = [step for _, job in JOBS for step in job["steps"] if "mkdocs build" in str(step)]
    assert [step["env"]["PYTHONPATH"] for step in steps] == ["src"]


def test_there_is_something_to_hold():
    assert {name for name, _ in JOBS} == {
        "docs: build", "docs: publish", "release: build", "release: publish", "tests: everything",
        "tests: library",
    }  # fmt: skip
    assert len(RUNS) >= 10


@pytest.mark.parametrize(("job", "line"), RUNS)
def test_a_command_runs_what_is_there(job, line):
    first, *rest = words(line)
    assert first in {"python", "bash", "make", "test"}
    if first == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        assert rest[0] in targets
    if first == "bash" or (first == "python" and rest[0].endswith(".py")):
        assert (ROOT / rest[0]).is_file()
    if rest[:2] == ["-m", "pytest"]:
        paths = [word for word in rest if word.startswith("tests/")]
        assert len(paths) >= 2
        assert [path for path in paths if not (ROOT / path).exists()] == []
    if rest[:3] == ["-m", "pip", "install"]:
        for word in rest[3:]:
            if word.startswith(".["):
                extras = set(re.findall(r"[\w-]+", word))
                assert extras <= set(PROJECT["optional-dependencies"])
            elif word == "constraints.txt":
                assert (ROOT / word).is_file()
            elif not word.startswith("-"):
                assert word in PINNED
    elif rest[:1] == ["-m"] and rest[1] != "pytest":
        assert rest[1] in PINNED


@pytest.mark.parametrize(("job", "steps"), [(name, job["steps"]) for name, job in JOBS])
def test_actions_have_a_version_and_files_to_cache_by(job, steps):
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])
            by = step.get("with", {}).get("cache-dependency-path")
            assert by is None or (ROOT / by).is_file()


def test_the_pythons_that_are_tried_are_those_that_are_promised():
    (library,) = [job for name, job in JOBS if name == "tests: library"]
    tried = library["strategy"]["matrix"]["python"]
    promised = [
        each.rpartition(" ")[2]
        for each in PROJECT["classifiers"]
        if re.search(r"Python :: 3\.\d+$", each)
    ]
    assert tried == promised
    least = PROJECT["requires-python"].removeprefix(">=")
    assert tried[0] == least
    for each in library["strategy"]["matrix"]["include"]:
        assert each["python"] in tried


def test_the_wheel_that_a_tag_must_match_is_named_as_it_is_built():
    (line,) = [run for name, run in RUNS if "GITHUB_REF_NAME" in run]
    (name,) = re.findall(r'test -f "dist/(.*?)-\$\{GITHUB_REF_NAME#v\}-py3-none-any\.whl"', line)
    assert name == PROJECT["name"]
