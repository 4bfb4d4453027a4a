"""FedBN (Li et al. 2021, ICLR): every hospital keeps the normalisation layers it trained.

At the server it is FedAvg's mean over all arrays: what the paper leaves out of the average, the normalisation layers,
is averaged here too, for hospitals that never trained and have none of their own. What makes it FedBN happens at the
sites (client/local_layers.py): each overwrites the received layers by its own before it scores or trains.
"""

from server.strategies.mean import RunningMean

__all__ = ["FedBN"]

FedBN = RunningMean
