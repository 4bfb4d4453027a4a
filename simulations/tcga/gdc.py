"""The GDC's API: what its endpoints `cases`, `files`, `manifest` and `data` are asked, and how patiently.

Requests and answers are those of https://docs.gdc.cancer.gov/API/Users_Guide. Open data need no token.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from shared.errors import BadInput, WorkFailed

__all__ = ["SERVER", "Gdc", "GdcFile", "Patience", "all_of", "one_of"]

SERVER = "https://api.gdc.cancer.gov"
PAGE = 1000  # records an answer
LONGEST = 120.0  # s between two tries
KEPT = "finished files are kept, so run the same command again later"


@dataclass(frozen=True)
class GdcFile:
    """One file of the GDC."""

    id: str
    name: str
    size: int  # bytes
    md5: str
    cases: tuple[str, ...]  # submitter ids, which are case ids of ours
    samples: tuple[str, ...]  # barcodes of aliquots, samples or slides
    workflow: str  # "" = none

    @classmethod
    def of(cls, hit: dict[str, Any]) -> "GdcFile":
        """A record of the endpoint `files`, asked for FIELDS."""
        cases = hit.get("cases") or []
        entities = [
            e["entity_submitter_id"] for e in hit.get("associated_entities") or [] if "entity_submitter_id" in e
        ]
        samples = [s["submitter_id"] for case in cases for s in case.get("samples") or [] if "submitter_id" in s]
        return cls(
            id=hit["file_id"],
            name=hit["file_name"],
            size=int(hit["file_size"]),
            md5=hit["md5sum"],
            cases=tuple(case["submitter_id"] for case in cases),
            samples=tuple(entities or samples),
            workflow=(hit.get("analysis") or {}).get("workflow_type") or "",
        )


FIELDS = (
    "file_id",
    "file_name",
    "file_size",
    "md5sum",
    "analysis.workflow_type",
    "associated_entities.entity_submitter_id",
    "cases.submitter_id",
    "cases.samples.submitter_id",
)


def one_of(field: str, values: Sequence[str]) -> dict[str, Any]:
    """A filter: `field` has one of the values."""
    return {"op": "in", "content": {"field": field, "value": list(values)}}


def all_of(*filters: dict[str, Any]) -> dict[str, Any]:
    """A filter: all of the filters hold."""
    return {"op": "and", "content": list(filters)}


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how long to wait: `pause` seconds, doubled after every try."""

    tries: int = 6
    pause: float = 1.0

    def wait(self, attempt: int, response: httpx.Response | None) -> None:
        """Sleep after the failed try number `attempt` (from 0), as long as the server's Retry-After if it has one."""
        asked = _retry_after(response.headers.get("Retry-After", "")) if response is not None else None
        time.sleep(min(self.pause * 2**attempt if asked is None else asked, LONGEST))


class Gdc:
    """A connection to the GDC; may be used by several threads at once."""

    def __init__(self, server: str = SERVER, patience: Patience = Patience()) -> None:
        url = httpx.URL(server) if server.startswith(("http://", "https://")) else None
        if url is None or not url.host:
            raise BadInput(f"--server: expected an address such as {SERVER}, got {server!r}; correct it")
        self.server, self.patience = server.rstrip("/"), patience
        self._client = httpx.Client(timeout=httpx.Timeout(60.0), headers={"Accept-Encoding": "identity"})

    def __enter__(self) -> "Gdc":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def files(self, filters: dict[str, Any]) -> list[GdcFile]:
        """Every file that fits."""
        return [GdcFile.of(hit) for hit in self.hits("files", filters, FIELDS, "file_id")]

    def hits(self, endpoint: str, filters: dict[str, Any], fields: Sequence[str], key: str) -> list[dict[str, Any]]:
        """Every record of `cases` or `files` that fits, page after page, sorted by the field `key`."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {
                "filters": filters,
                "fields": ",".join(fields),
                "format": "JSON",
                "size": PAGE,
                "from": len(found),
                "sort": f"{key}:asc",
            }
            data = self._json(endpoint, asked)
            found += data["hits"]
            if not data["hits"] or len(found) >= int(data["pagination"]["total"]):
                return found

    def manifest(self, ids: Sequence[str]) -> str:
        """The manifest of files for the GDC's Data Transfer Tool: a table id, filename, md5, size, state."""
        text = self._post("manifest", {"ids": list(ids)}).text
        if not text.startswith("id\t"):
            raise WorkFailed(
                f"{self.server}/manifest: expected a table that begins with id, got another answer; {KEPT}"
            )
        return text

    @contextmanager
    def data(self, file: GdcFile, start: int) -> Iterator[httpx.Response]:
        """The answer of `data`, its body not read yet, from byte `start` on if the server can do that."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._client.stream("GET", f"{self.server}/data/{file.id}", headers=headers, follow_redirects=True) as got:
            yield got

    def _json(self, endpoint: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = self._post(endpoint, asked)
        try:
            data = answer.json()["data"]
            data["pagination"]["total"], data["hits"][:0]
        except (ValueError, KeyError, TypeError) as exc:
            raise WorkFailed(
                f"{self.server}/{endpoint}: expected data.hits and data.pagination as the GDC's API gives, got another "
                "answer; check --server"
            ) from exc
        return dict(data)

    def _post(self, endpoint: str, content: dict[str, Any]) -> httpx.Response:
        """POST JSON, again where the server is busy, failing or out of reach."""
        last = "nothing"
        for attempt in range(self.patience.tries):
            response = None
            try:
                response = self._client.post(f"{self.server}/{endpoint}", json=content)
            except httpx.TransportError as exc:
                last = said(exc)
            else:
                if response.is_success:
                    return response
                last = f"status {response.status_code}"
                if not passing(response.status_code):
                    raise BadInput(
                        f"{self.server}/{endpoint}: expected an answer, got {last}; check --server and --project"
                    )
            if attempt + 1 < self.patience.tries:
                self.patience.wait(attempt, response)
        raise WorkFailed(
            f"{self.server}/{endpoint}: expected an answer, got {last} {self.patience.tries} times; {KEPT}"
        )


def passing(status: int) -> bool:
    """Whether an error is worth another try: too many requests, or a fault of the server."""
    return status in (408, 429) or status >= 500


def said(exc: httpx.TransportError) -> str:
    """What went wrong with a connection, in words without an address."""
    return {
        httpx.ConnectError: "no connection",
        httpx.ConnectTimeout: "no connection",
        httpx.RemoteProtocolError: "a cut connection",
        httpx.ReadError: "a cut connection",
        httpx.ReadTimeout: "no answer in a minute",
    }.get(type(exc), type(exc).__name__)


def _retry_after(text: str) -> float | None:
    """The seconds that a Retry-After header asks for: a number or a date; None if there is none."""
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
