"""Run an encoder with torch, on the CPU or on a GPU."""

import copy
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from client.prepare.encoders.transform import Network, Transform

__all__ = ["TorchEngine", "fold_batch_norm"]


class TorchEngine:
    """A frozen encoder in torch. Several threads may call it at once.

    On a CPU each call computes in its own thread: call it from as many threads as there are cores, with
    `torch.set_num_threads(1)`, which is faster than one call on all cores. Batch normalisation is folded into the
    convolutions before it and memory is channels-last. bf16 multiplies in bf16 and adds up in fp32; normalisation,
    softmax and what torch's autocast lists beside them stay in fp32.
    """

    def __init__(
        self, body: nn.Module, transform: Transform, *, device: str, precision: Literal["fp32", "bf16"]
    ) -> None:
        self._device = torch.device(device)
        self._bf16 = precision == "bf16"
        body = fold_batch_norm(copy.deepcopy(body) if self._bf16 else body)
        if self._bf16:
            _round_weights(body)
        if self._device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32, and two runs are equal bit for bit
            torch.backends.cudnn.deterministic = True
        network = Network(body, transform).eval().to(self._device)
        self._network = network.to(memory_format=torch.channels_last)

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (B, dim) of tiles (B, H, W, 3)."""
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            features = self._network(torch.from_numpy(tiles).to(self._device))
        return np.asarray(features.cpu().numpy())


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """The same function of an eval-mode network with each BatchNorm2d folded into the convolution that feeds it.

    A network whose control flow torch.fx cannot follow comes back as it is.
    """
    if not any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
        return module
    try:
        graph = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError):
        return module
    parts = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        source = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(source, fx.Node) or source.op != "call_module":
            continue
        norm, conv = parts[str(node.target)], parts[str(source.target)]
        if type(norm) is nn.BatchNorm2d and type(conv) is nn.Conv2d and len(source.users) == 1:
            graph.set_submodule(str(source.target), fuse_conv_bn_eval(conv, norm).requires_grad_(False))
            node.replace_all_uses_with(source)
            graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _round_weights(module: nn.Module) -> None:
    """Convolutions and linear layers to bf16 once; autocast would do it in every forward pass."""
    for part in module.modules():
        if type(part) in (nn.Conv2d, nn.Linear):
            part.to(torch.bfloat16)
