"""Read a study from either form in which people pass it on: the TOML it was written in, or the resolved JSON."""

import json
from pathlib import Path

from shared.errors import StudyError
from shared.resolve import resolve
from shared.study import Study, parse_study, read_study

__all__ = ["read_resolved"]


def read_resolved(path: Path) -> Study:
    """The resolved study in the file at `path`: `.json` as `mmfed-server submit` writes it, else TOML.

    Raises
    ------
    StudyError
        The file is missing or malformed, has faults, or refers to something that cannot be resolved here.
    """
    study = _read_json(path) if path.suffix == ".json" else read_study(path)
    return resolve(study, folder=path.parent)


def _read_json(path: Path) -> Study:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise StudyError(f"{path}: expected a readable JSON file, got {exc.strerror}; check the path") from exc
    except ValueError as exc:
        raise StudyError(f"{path}: expected JSON in UTF-8, got {exc}; ask the coordinator for the file again") from exc
    if not isinstance(content, dict):
        raise StudyError(f"{path}: expected a JSON object, got {type(content).__name__}; this is not a study")
    return parse_study(content, source=str(path))
