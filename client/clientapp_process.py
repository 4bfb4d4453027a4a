"""The process that Flower starts for one message: its own `flwr-clientapp`, with the gate in it.

Flower unpacks the coordinator's bundle, puts it first on `sys.path` and runs it. Here the bundle is checked before it
is unpacked, so that only the code this hospital installed is ever run. This is the only module that touches
private names of Flower's; a test fails when one moves, and so does the process, before any bundle is opened.
"""

import os
import sys
from argparse import ArgumentParser
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
    """Put the gate in place and do what `flwr-clientapp` does, without what it imports and does not use.

    Flower takes a task back that is not called for within 30 s of its start, and its own command needs twice the time
    to import. Nothing is ever installed from a bundle, whatever the command line says.
    """
    os.environ.update(SWITCHES)
    from flwr.common.args import add_args_flwr_app_common, try_obtain_flwr_app_token
    from flwr.supercore.tls import validate_and_resolve_root_certificates
    from flwr.supernode.runtime import run_clientapp

    names = vars(run_clientapp)
    names["install_from_fab"] = guarded(names["install_from_fab"])  # KeyError if a release of Flower moves it
    parser = ArgumentParser(prog="flwr-clientapp")
    parser.add_argument("--runtime-api-address", required=True)
    add_args_flwr_app_common(parser)
    args = parser.parse_args()
    run_clientapp.run_clientapp(
        runtime_api_address=args.runtime_api_address,
        token=try_obtain_flwr_app_token(args),
        insecure=args.insecure,
        certificates=validate_and_resolve_root_certificates(args.root_certificates, args.insecure),
        parent_pid=args.parent_pid,
        runtime_dependency_install=False,
    )


if __name__ == "__main__":
    main()
