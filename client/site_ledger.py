"""Where a site's ledger lies, and the policy it is kept under. A simulation keeps one a training, in its run folder."""

import getpass
from pathlib import Path

from shared.privacy.budget import Budget, Policy
from shared.privacy.ledger import FILE, Ledger
from shared.privacy.signer import CommandSigner
from shared.site import Site
from shared.study import Study

__all__ = ["SIMULATION", "has_ledger", "ledger_folder", "open_budget", "open_ledger"]

SIMULATION = "simulation"
"""Who approves, and sets the cap, where no person does."""


def ledger_folder(site: Site, own: Path | None = None) -> Path:
    """Folder of the ledger and its key.

    Parameters
    ----------
    own
        Where a simulation lets this site keep its own files; None in a deployment.
    """
    return (own or site.state) / "privacy"


def has_ledger(site: Site) -> bool:
    """Whether the site has kept a ledger before."""
    return (ledger_folder(site) / FILE).is_file()


def open_ledger(site: Site, own: Path | None = None) -> Ledger:
    """The site's ledger, made when there is none, its chain verified. That of a simulation is not synced to disk.

    Raises
    ------
    Refused
        LEDGER_BROKEN or LEDGER_FAILED.
    """
    signer = CommandSigner(site.privacy.signer) if site.privacy.signer and own is None else None
    return Ledger.open(ledger_folder(site, own), site.id, signer=signer, durable=own is None)


def open_budget(site: Site, study: Study | None = None, own: Path | None = None) -> Budget:
    """The site's ledger under the cap and delta of the site file, which are recorded whenever they change.

    In a simulation the cap is the study's own epsilon where that is larger: nobody's data are at stake.
    """
    cap, approver = site.privacy.epsilon_cap, getpass.getuser()
    if own is not None and study is not None and study.terms is not None:
        cap, approver = max(cap, study.terms.epsilon), SIMULATION
    return Budget(open_ledger(site, own), Policy(cap, site.privacy.delta, approver))
