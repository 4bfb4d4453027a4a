"""A resolved study as TOML, so that `--study FILE` repeats it."""

import json
from typing import Any

from shared.study import Study

__all__ = ["study_toml"]


def study_toml(study: Study) -> str:
    """TOML that reads back to the same study and digest."""
    content = study.content()
    options = content["model"].pop("options")
    content["model"] |= options
    if content["governance"] is None:
        del content["governance"]
    content["privacy"] = {name: term for name, term in content["privacy"].items() if term is not None}
    content["modalities"] = {name: part for name, part in content["modalities"].items() if part is not None}
    return "\n".join(_table(content, ())) + "\n"


def _table(table: dict[str, Any], path: tuple[str, ...], *, repeated: bool = False) -> list[str]:
    """The lines of a table; `repeated` = it is one of a list."""
    name = ".".join(_key(part) for part in path)
    lines = [f"[[{name}]]" if repeated else f"[{name}]"] if path else []
    plain = {key: value for key, value in table.items() if not isinstance(value, dict) and not _tables(value)}
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict) and value:
            lines += ["", *_table(value, (*path, key))]
        for part in _tables(value):
            lines += ["", *_table(part, (*path, key), repeated=True)]
    return lines


def _tables(value: Any) -> list[dict[str, Any]]:
    """The tables of a list of tables."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _key(text: str) -> str:
    return text if text.replace("_", "").replace("-", "").isalnum() and text.isascii() else _text(text)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """A TOML basic string: JSON's, but with no surrogate pairs, and with DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
