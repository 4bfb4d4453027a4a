"""Canonical JSON and SHA-256: how mmfed names the content of anything."""

import hashlib
import json
from pathlib import Path

__all__ = ["canonical_json", "sha256_bytes", "sha256_file", "sha256_json"]


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and shortest-repr floats; NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: object) -> str:
    """Hex SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
