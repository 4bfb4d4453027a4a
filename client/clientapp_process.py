"""The process that Flower starts for one message: its own `flwr-clientapp`, with the gate in it.

Flower unpacks the coordinator's bundle, puts it first on `sys.path` and runs it. Here the bundle is checked before it
is unpacked, so that only the code this hospital installed is ever run. This is the only module that touches a private
name of Flower's; a test fails when it moves, and so does the process, before any bundle is opened.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from shared.bundle import check_bundle
from shared.errors import Refused
from shared.flower import SWITCHES

__all__ = ["guarded", "main"]

Install = Callable[..., Path]


def guarded(install: Install) -> Install:
    """`install(bundle, ...)` that refuses every bundle but mmfed's own."""

    def install_checked(bundle: bytes, *args: object, **kwargs: object) -> Path:
        try:
            check_bundle(bundle)
        except Refused as exc:
            sys.stderr.write(f"{exc}\n")  # the sentence stays at the site; Flower sends the text of what is raised
            raise PermissionError(exc.code) from None
        return install(bundle, *args, **kwargs)

    return install_checked


def main() -> None:
    """Put the gate in place and let Flower go on."""
    os.environ.update(SWITCHES)
    from flwr.supernode.cli import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp

    names = vars(run_clientapp)
    names["install_from_fab"] = guarded(names["install_from_fab"])  # KeyError if a release of Flower moves it
    flwr_clientapp()


if __name__ == "__main__":
    main()
