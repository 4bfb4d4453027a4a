"""How encoders run on this machine: on which device, by which engine, in which precision."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from client.prepare.encoders.openvino_engine import openvino_has_bf16
from shared.errors import EncoderError
from shared.site import Compute

__all__ = ["Plan", "cpu_has_bf16", "plan_compute"]

CPU_BATCH = 4
"""Tiles in a forward pass on a CPU: as fast as larger ones, and little is lost on a slide's last one."""
GPU_BATCH = 64
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Plan:
    """What the settings of a site come to on its machine; `demanded` = a person wrote that precision or engine."""

    device: str = "cpu"  # or "cuda:N"
    engine: Literal["torch", "openvino"] = "torch"
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = 1
    precision_demanded: bool = False
    engine_demanded: bool = False

    @property
    def batch(self) -> int:
        """Tiles in one forward pass."""
        return CPU_BATCH if self.device == "cpu" else GPU_BATCH


def plan_compute(compute: Compute | None) -> Plan:
    """The plan for a site's [compute]; without one, fp32 by torch on the CPU.

    Raises
    ------
    EncoderError
        The machine lacks the device, the package or the precision that the site file demands.
    """
    if compute is None:
        return Plan()
    device = _device(compute)
    engine = _engine(compute, device)
    precision = compute.precision
    if precision == "auto":
        precision = "bf16" if _has_bf16(device, engine) else "fp32"
    elif precision == "bf16" and engine == "openvino" and not openvino_has_bf16():
        if compute.engine == "openvino":
            raise EncoderError(
                'expected a processor with bf16 (avx512_bf16 or AMX) for precision = "bf16" with engine = "openvino", '
                'got one without; write precision = "auto", or engine = "torch", which emulates it'
            )
        engine = "torch"
    return Plan(
        device=device,
        engine=engine,
        precision=precision,
        workers=compute.workers,
        precision_demanded=compute.precision != "auto",
        engine_demanded=compute.engine != "auto",
    )


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 in hardware; where the system does not say (not Linux), no."""
    if not CPU_INFO.is_file():
        return False
    flags = next((line for line in CPU_INFO.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split()))


def _device(compute: Compute) -> str:
    wanted = compute.device
    if wanted == "cpu" or (wanted == "auto" and (compute.engine == "openvino" or not torch.cuda.is_available())):
        return "cpu"
    if compute.engine == "openvino":
        raise EncoderError(
            f'expected engine = "openvino" on the CPU, got device = "{wanted}"; write device = "cpu" or another engine'
        )
    number = int(wanted.partition(":")[2] or 0)
    if not torch.cuda.is_available() or number >= torch.cuda.device_count():
        raise EncoderError(
            f"expected the GPU {wanted} of the site file, got {torch.cuda.device_count()} GPUs that torch can use; "
            'install a driver and a CUDA build of torch, or write device = "auto"'
        )
    return f"cuda:{number}"


def _engine(compute: Compute, device: str) -> Literal["torch", "openvino"]:
    installed = importlib.util.find_spec("openvino") is not None
    if compute.engine == "openvino" and not installed:
        raise EncoderError(
            'expected the package openvino, as engine = "openvino" asks, got none; pip install "mmfed[openvino]", '
            'or write engine = "auto"'
        )
    return "openvino" if compute.engine != "torch" and installed and device == "cpu" else "torch"


def _has_bf16(device: str, engine: str) -> bool:
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported())
    return openvino_has_bf16() if engine == "openvino" else cpu_has_bf16()
