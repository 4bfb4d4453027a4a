"""Read a TOML file into a frozen pydantic model and name every fault at once."""

import json
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import BadInput

__all__ = ["Added", "Document", "contradictions", "digest_content", "parse", "read_toml", "readable"]


class Document(BaseModel):
    """Base of every section: frozen, strict about types; unknown keys, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)

    @classmethod
    def completed(cls, content: dict[str, Any]) -> dict[str, Any]:
        """`content` as written, with defaults that depend on more than one section filled in."""
        return content

    @classmethod
    def loose_faults(cls, content: dict[str, Any]) -> list[str]:
        """Faults of the whole that can be told of `content` though some part of it is wrong."""
        return []

    @classmethod
    def taught(cls, path: str, value: object, content: dict[str, Any]) -> str | None:
        """A sentence of its own for a key or value that is not known, such as one of another tool; None for most."""
        return None


M = TypeVar("M", bound=Document)


class Added:
    """Marks a field that schema 1 gained later: `Annotated[bool, Added]`. At its default it is not in the digest."""


def digest_content(document: Document) -> dict[str, Any]:
    """The document as plain JSON values, less the added fields at their defaults: digests survive an upgrade."""
    content = document.model_dump(mode="json", by_alias=True)
    for name, field in type(document).model_fields.items():
        value, key = getattr(document, name), field.alias or name
        if Added in field.metadata and value == field.default:
            del content[key]
        elif isinstance(value, Document):
            content[key] = digest_content(value)
        elif isinstance(value, tuple):
            content[key] = [
                digest_content(part) if isinstance(part, Document) else plain
                for part, plain in zip(value, content[key], strict=True)
            ]
    return content


def contradictions(faults: Sequence[str]) -> None:
    """Raise one ValueError that carries all faults of a section, or nothing when there is none."""
    if faults:
        raise ValueError("\n".join(faults))


def read_toml(path: Path, model: type[M], error: type[BadInput]) -> M:
    """Parse the TOML file at `path` into `model`.

    Raises
    ------
    error
        The file is missing, is not TOML, or has faults; the message lists all of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise error(f"{path}: expected a readable TOML file, got {exc.strerror}; check the path") from exc
    except UnicodeDecodeError as exc:
        raise error(f"{path}: expected UTF-8 text, got other bytes; save the file as UTF-8") from exc
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise error(f"{path}: expected TOML, got a syntax error: {exc}; mend that line") from exc
    return parse(content, model, error, source=str(path))


def parse(content: dict[str, Any], model: type[M], error: type[BadInput], source: str) -> M:
    """Validate parsed TOML or JSON; `source` names the file in the message."""
    content = model.completed(content)
    try:
        return model.model_validate_json(json.dumps(content, default=str))
    except ValidationError as exc:
        faults = _every_line(exc, model, content)
        mended = _mended(content, exc.errors(include_url=False), model)
        # a section with a wrong key is not held to its own rules, nor is the whole while a section is wrong
        faults += [fault for fault in _faults(mended, model) + model.loose_faults(mended) if fault not in faults]
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise error(f"{source}: {count}\n" + "\n".join(f"  {fault}" for fault in faults)) from exc


def readable(content: object, kind: Any) -> Any:
    """`content` as a `kind`, which is a document or a union of some; None if it is not valid."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content, default=str))
    except ValidationError:
        return None


def _faults(content: dict[str, Any], model: type[M]) -> list[str]:
    try:
        model.model_validate_json(json.dumps(content, default=str))
    except ValidationError as exc:
        return _every_line(exc, model, content)
    return []


def _every_line(error: ValidationError, model: type[Document], content: dict[str, Any]) -> list[str]:
    details = error.errors(include_url=False)
    return list(dict.fromkeys(line for detail in details for line in _lines(detail, model, content)))


def _mended(content: dict[str, Any], details: Sequence[ErrorDetails], model: type[Document]) -> dict[str, Any]:
    """`content` as if the advice about unknown keys had been followed: each renamed or removed."""
    mended: dict[str, Any] = deepcopy(content)
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *path, key = _written(detail["loc"], model)
            section: Any = mended
            for part in path:
                section = section[part]
            value = section.pop(key)
            if model.taught(".".join(str(part) for part in (*path, key)), value, content):
                continue  # there is no other name for it
            for close in get_close_matches(str(key), sorted(_keys(model, detail["loc"][:-1])), n=1):
                section.setdefault(close, value)
    return mended


def _lines(detail: ErrorDetails, model: type[Document], content: dict[str, Any]) -> list[str]:
    """One fault as `path: expected ..., got ...; what to do`, or as the document has it."""
    path = ".".join(str(part) for part in _written(detail["loc"], model)) or "file"
    context = detail.get("ctx", {})
    tagged = detail["type"] == "union_tag_invalid"
    place = f"{path}.{context['discriminator'].strip(chr(39))}" if tagged else path
    sentence = model.taught(place, context["tag"] if tagged else detail["input"], content)
    if sentence:
        return [sentence]
    match detail["type"]:
        case "missing":
            return [f"{path}: expected a value, got nothing; add the key"]
        case "extra_forbidden":
            known = sorted(_keys(model, detail["loc"][:-1]))
            close = get_close_matches(str(detail["loc"][-1]), known, n=1)
            advice = f"write {close[0]!r}" if close else f"remove it (known here: {', '.join(known)})"
            return [f"{path}: expected a known key, got an unknown one; {advice}"]
        case "value_error":
            lines = str(context["error"]).split("\n")
            return [f"{path}: {line}" for line in lines] if detail["loc"] else lines  # the whole names its own parts
        case "union_tag_not_found" | "union_tag_invalid":
            got = _shown(context["tag"]) if "tag" in context else "nothing"
            choices = context.get("expected_tags") or ", ".join(repr(tag) for tag in _tags(model, detail["loc"]))
            return [
                f"{path}.{context['discriminator'].strip(chr(39))}: expected one of {choices}, got {got}; choose one"
            ]
        case _:
            expected = detail["msg"].removeprefix("Input should be ")
            return [f"{path}: expected {expected}, got {_shown(detail['input'])}; correct the value"]


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _written(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[int | str]:
    """The location as the person wrote it: tags of unions, which pydantic inserts, are left out."""
    parts: list[int | str] = []
    current: list[type[BaseModel]] = [model]
    for part in loc:
        nested = _descend(current, part)
        tags = {_tag(choice) for choice in current}
        if len(current) > 1 and part in tags:
            current = [choice for choice in current if _tag(choice) == part]
            continue
        parts.append(part)
        current = nested
    return parts


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    current: list[type[BaseModel]] = [model]
    for part in loc:
        if len(current) > 1 and part in {_tag(choice) for choice in current}:
            current = [choice for choice in current if _tag(choice) == part]
        else:
            current = _descend(current, part)
    return {field.alias or name for choice in current for name, field in choice.model_fields.items()}


def _tags(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The words that choose between the models at a location."""
    current: list[type[BaseModel]] = [model]
    for part in loc:
        current = _descend(current, part)
    return [tag for choice in current if (tag := _tag(choice)) is not None]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    choices = get_args(field.annotation) if field else ()
    return str(choices[0]) if len(choices) == 1 else None


def _descend(models: Sequence[type[BaseModel]], key: int | str) -> list[type[BaseModel]]:
    if isinstance(key, int):  # a place in a list
        return list(models)
    found: list[type[BaseModel]] = []
    for model in models:
        for name, field in model.model_fields.items():
            if key in (name, field.alias):
                found += _models_in(field.annotation)
    return found


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
