"""What an architecture says of itself, and what it is told of a study before there is a model."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.cohort import MODALITIES

__all__ = ["About", "Setting"]


@dataclass(frozen=True)
class About:
    """One line for people, and the modalities that a study of this architecture may and must list."""

    summary: str
    reference: str  # authors, year and where
    takes: tuple[str, ...] = MODALITIES
    needs: tuple[str, ...] = ()

    def faults(self, architecture: str, modalities: Collection[str]) -> list[str]:
        """What is wrong with a study that lists `modalities`: one line a fault."""
        strange = [name for name in modalities if name not in self.takes]
        missing = [name for name in self.needs if name not in modalities]
        faults = []
        if strange:
            sections = ", ".join(f"[modalities.{name}]" for name in strange)
            faults.append(
                f"expected modalities that {architecture} takes ({', '.join(self.takes)}), got {', '.join(strange)}; "
                f"remove {sections}, or choose another architecture"
            )
        if missing:
            sections = ", ".join(f"[modalities.{name}]" for name in missing)
            faults.append(
                f"expected the modalities that {architecture} needs ({', '.join(self.needs)}), "
                f"got {', '.join(modalities) or 'none'}; add {sections}, or choose another architecture"
            )
        return faults


@dataclass(frozen=True)
class Setting:
    """What a study gives its model and asks of it; 0 where that is not known."""

    modalities: tuple[str, ...]  # in the fixed order
    outputs: int = 0  # of all tasks
    tasks: int = 1
    max_patches: int = 0  # 0 without slides
