"""A GDC that tests talk to: its endpoints cases, files, manifest and data over real HTTP, with faults on demand.

Shapes of requests and answers follow https://docs.gdc.cancer.gov/API/Users_Guide: only the fields that are asked for
come back, in pages; `data` serves byte ranges.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FakeGdc", "serving"]

Record = dict[str, Any]


@dataclass
class FakeGdc:
    """What the server holds, what it was asked, and what goes wrong next."""

    cases: list[Record] = field(default_factory=list)
    files: list[Record] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)  # file_id -> bytes
    faults: dict[str, list[str]] = field(default_factory=dict)  # file_id or endpoint -> cut, wrong, 429, 500 ...
    requests: list[tuple[str, str]] = field(default_factory=list)  # (what, Range or "")
    retry_after: str = "0"
    largest_page: int = 1000
    ranges: bool = True  # whether Range is honoured
    url: str = ""

    def add_file(self, file_id: str, name: str, content: bytes, **fields: Any) -> None:
        """Hold a file, its size and checksum worked out from its bytes."""
        self.content[file_id] = content
        self.files.append(
            {
                "file_id": file_id,
                "file_name": name,
                "file_size": len(content),
                "md5sum": hashlib.md5(content).hexdigest(),
                "access": "open",
                "state": "released",
                **fields,
            }
        )

    def asked(self, what: str) -> list[str]:
        """The Range headers of every request for a file or endpoint."""
        return [range_ for name, range_ in self.requests if name == what]


@contextmanager
def serving(gdc: FakeGdc) -> Iterator[FakeGdc]:
    """`gdc` at gdc.url, on a free port of 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(gdc))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    gdc.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gdc
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(gdc: FakeGdc) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint = self.path.strip("/")
            gdc.requests.append((endpoint, ""))
            if self._fails(endpoint):
                return
            if endpoint == "manifest":
                rows = [file for file in gdc.files if file["file_id"] in asked["ids"]]
                keys = ("file_id", "file_name", "md5sum", "file_size", "state")
                lines = ["\t".join(str(row[key]) for key in keys) for row in rows]
                self._answer(
                    200, "\n".join(["id\tfilename\tmd5\tsize\tstate", *lines]).encode(), "text/tab-separated-values"
                )
            elif endpoint in ("cases", "files"):
                self._answer(200, json.dumps(_search(gdc, getattr(gdc, endpoint), asked)).encode(), "application/json")
            else:
                self._answer(404, b'{"message": "no such endpoint"}', "application/json")

        def do_GET(self) -> None:
            file_id = self.path.removeprefix("/data/")
            wanted = self.headers.get("Range", "")
            gdc.requests.append((file_id, wanted))
            content = gdc.content.get(file_id)
            if content is None:
                self._answer(404, b'{"message": "file not found"}', "application/json")
                return
            fault = self._fails(file_id)
            if fault == "done":
                return
            if fault == "wrong":
                content = bytes([content[0] ^ 1]) + content[1:]
            start = 0
            if wanted and gdc.ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
                if start >= len(content):
                    self._answer(416, b"", "text/plain")
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            body = content[start:]
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
            self.close_connection = True

        def _fails(self, what: str) -> str:
            """The next fault of a file or endpoint; `done` once it has been answered."""
            fault = gdc.faults[what].pop(0) if gdc.faults.get(what) else ""
            if not fault.isdigit():
                return fault
            self.send_response(int(fault))
            if fault == "429":
                self.send_header("Retry-After", gdc.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return "done"

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _search(gdc: FakeGdc, records: list[Record], asked: Record) -> Record:
    key, _, direction = asked["sort"].partition(":")
    assert direction == "asc"
    found = sorted((r for r in records if _fits(r, asked["filters"])), key=lambda record: str(record[key]))
    size, start = min(int(asked["size"]), gdc.largest_page), int(asked["from"])
    page = [_only(record, asked["fields"].split(",")) for record in found[start : start + size]]
    pagination = {
        "count": len(page),
        "total": len(found),
        "size": size,
        "from": start,
        "sort": asked["sort"],
        "page": start // size + 1,
        "pages": -(-len(found) // size),
    }
    return {"data": {"hits": page, "pagination": pagination}, "warnings": {}}


def _fits(record: Record, filters: Record) -> bool:
    op, content = filters["op"], filters["content"]
    if op == "and":
        return all(_fits(record, part) for part in content)
    assert op == "in"
    return bool(set(_values(record, content["field"].split("."))) & set(content["value"]))


def _values(value: Any, path: list[str]) -> list[Any]:
    if isinstance(value, list):
        return [found for part in value for found in _values(part, path)]
    if not path:
        return [value]
    return _values(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


def _only(value: Any, fields: list[str]) -> Any:
    """The record with the fields that were asked for."""
    if isinstance(value, list):
        return [_only(part, fields) for part in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, part in value.items():
        below = [field.removeprefix(f"{name}.") for field in fields if field.startswith(f"{name}.")]
        if name in fields or below:
            kept[name] = _only(part, below) if below else part
    return kept
