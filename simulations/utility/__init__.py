"""What privacy costs in accuracy: the same study trained without and with it, and how its settings were chosen."""
