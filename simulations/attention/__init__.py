"""What the federated model looked at: weights on tiles, gene groups and modalities, checked and shown."""

from simulations.attention.examine import examine
from simulations.attention.pictures import Pictures

__all__ = ["Pictures", "examine"]
