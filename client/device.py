"""Where a site computes."""

import torch

from shared.site import Site

__all__ = ["device_of"]


def device_of(site: Site) -> torch.device:
    """The device of `compute.device`; `auto` is an accelerator where there is one, else the processor."""
    name = site.compute.device
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
