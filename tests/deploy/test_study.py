"""deploy/study.toml names every section and key of a study, and its default."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from server.submission import read_submittable
from shared.study import ModelChoice, Study

EXAMPLE = Path(__file__).parents[2] / "deploy" / "study.toml"
SECTION = re.compile(r"(?:# )?\[+([a-z.]+)\]+(?:\s.*)?")
KEY = re.compile(r"(?P<default># )?(?P<key>[a-z_0-9]+) = (?P<value>.+)")


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str, Any]]:
    """(section, key, default) of everything a study file can hold; the options of an architecture aside."""
    for name, field in model.model_fields.items():
        nested = list(models_in(field.annotation))
        place = f"{path}.{name}".lstrip(".")
        for inner in nested:
            yield from sections(inner, place)
        if (not nested and model is not ModelChoice) or name == "architecture":
            yield path, field.alias or name, field.default


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def written() -> list[tuple[str, str, bool, Any]]:
    """(section, key, whether it shows a default, value) of every line of the example."""
    found, section = [], ""
    for line in EXAMPLE.read_text().splitlines():
        if head := SECTION.fullmatch(line):
            section = head[1]
        elif key := KEY.fullmatch(line):
            value = tomllib.loads(f"value = {key['value']}")["value"]
            found.append((section, key["key"], key["default"] is not None, value))
    return found


def test_the_example_can_be_submitted() -> None:
    study = read_submittable(EXAMPLE)
    assert study.modalities.names == ("slides", "expression", "blood", "imaging", "clinical")
    assert study.heads[0].task.kind == "survival"


def test_every_section_and_key_is_named() -> None:
    known = {(section, key) for section, key, _ in sections(Study)}
    assert {("privacy", "epsilon"), ("task", "time_edges"), ("federation", "wire"), ("", "seed")} <= known
    named = {(section, key) for section, key, _, _ in written()}
    as_of_task = {(section, key) for section, key in known if section == "heads.task"}
    assert known - as_of_task - named == set()
    assert named - known == {("model", "dim"), ("model", "preset")}


def test_the_defaults_shown_are_those_of_the_schema() -> None:
    defaults: dict[tuple[str, str], list[Any]] = {}
    for section, key, default in sections(Study):
        defaults.setdefault((section, key), []).append(list(default) if isinstance(default, tuple) else default)
    wrong = [
        (section, key, value)
        for section, key, shown, value in written()
        if shown
        and (section, key) in defaults
        and key != "kind"
        and None not in defaults[section, key]
        and value not in defaults[section, key]
    ]
    assert wrong == []
