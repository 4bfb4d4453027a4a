"""Where the ClientApps of a simulation run: in this process, or in those of Flower's Ray backend."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from shared.errors import BadInput
from simulations.inline import InlineGrid

__all__ = ["ENGINES", "Engine", "engine_fault", "open_engine"]

Engine = Callable[[ClientApp, Mapping[str, Mapping[str, str]], Mapping[str, str]], Grid]
"""(the app that every site runs, site -> node config, run config) -> a Grid of these sites."""

ENGINES = ("inline", "ray")


def engine_fault(name: str) -> str:
    """Why an engine cannot be had, in a sentence; "" when it can."""
    if name not in ENGINES:
        return f"--engine: expected one of {', '.join(ENGINES)}, got {name!r}; choose one of them"
    if name == "ray":
        from simulations.ray_engine import ray_fault

        return ray_fault()
    return ""


@contextmanager
def open_engine(name: str = "inline") -> Iterator[Engine]:
    """An engine for as many federations, one after the other, as wanted; what it started ends with the context.

    Raises
    ------
    BadInput
        There is no engine of that name, or it is not installed.
    """
    fault = engine_fault(name)
    if fault:
        raise BadInput(fault)
    if name == "inline":
        yield InlineGrid
        return
    from simulations.ray_engine import RayEngine

    with closing(RayEngine()) as engine:
        yield engine
