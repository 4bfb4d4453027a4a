"""Run an encoder with OpenVINO on the CPU: the extra `openvino`, about 1.3 times as fast as torch in fp32."""

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.prepare.encoders.transform import Network, Transform
from shared.errors import EncoderError

__all__ = ["Converted", "OpenVinoEngine", "import_openvino", "openvino_has_bf16"]


def import_openvino() -> Any:
    """The package openvino, with its telemetry out of reach: it would report each import and conversion to its makers.

    Where openvino-telemetry cannot be imported, openvino takes its own stub, which sends nothing and writes nothing.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return import_module("openvino")


@cache
def openvino_has_bf16() -> bool:
    """Whether OpenVINO multiplies bf16 in this processor's hardware; elsewhere it computes fp32 instead."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Converted:
    """A network in OpenVINO's own form, converted once for each tile size; any number of engines compile it.

    Converting takes seconds and torch never frees the trace (about 40 MB for MobileNet); compiling takes a moment.
    """

    def __init__(self, body: nn.Module, transform: Transform) -> None:
        self._network = Network(body, transform).eval()
        self._models: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def model(self, shape: tuple[int, ...]) -> Any:
        """The openvino.Model for tiles of `shape`, (B, H, W, 3).

        Raises
        ------
        EncoderError
            OpenVINO lacks an operation of the network.
        """
        with self._lock:
            if shape not in self._models:
                self._models[shape] = self._convert(shape)
            return self._models[shape]

    def _convert(self, shape: tuple[int, ...]) -> Any:
        with _refusals(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracer warns of its own age, and of shapes that stay fixed
            return import_openvino().convert_model(
                self._network, input=list(shape), example_input=torch.zeros(shape, dtype=torch.uint8)
            )


class OpenVinoEngine:
    """A frozen encoder in OpenVINO, `workers` calls at a time on one core each; further calls wait.

    The network is compiled once for each tile size, for a fixed batch.

    Raises
    ------
    EncoderError
        OpenVINO lacks an operation of the network (on the first tile of each size).
    """

    def __init__(self, network: Converted, *, precision: Literal["fp32", "bf16"], workers: int) -> None:
        self._network = network
        self._workers = workers
        self._settings = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": str(workers),
            "INFERENCE_NUM_THREADS": str(workers),
            "ENABLE_CPU_PINNING": "NO",  # tiles are read and decoded on the same cores
        }
        self._programs: dict[tuple[int, ...], SimpleQueue[Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (B, dim) of tiles (B, H, W, 3)."""
        with self._lock:
            if tiles.shape not in self._programs:
                self._programs[tiles.shape] = self._compile(tiles.shape)
        free = self._programs[tiles.shape]
        request = free.get()
        try:
            request.infer([np.ascontiguousarray(tiles)], share_inputs=True)
            return np.array(request.get_output_tensor().data, dtype=np.float32)  # the request reuses its memory
        finally:
            free.put(request)

    def _compile(self, shape: tuple[int, ...]) -> SimpleQueue[Any]:
        """The idle infer requests, one for each worker, of the network for that shape."""
        with _refusals():
            compiled = import_openvino().Core().compile_model(self._network.model(shape), "CPU", self._settings)
        free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._workers):
            free.put(compiled.create_infer_request())
        return free


@contextmanager
def _refusals() -> Iterator[None]:
    """OpenVINO's own errors as one that says what to do."""
    try:
        yield
    except (RuntimeError, import_openvino().frontend.OpConversionFailure) as exc:
        raise EncoderError(
            f"expected a network that OpenVINO can run, got one that it cannot ({type(exc).__name__}); "
            'write engine = "torch" in the site file'
        ) from exc
