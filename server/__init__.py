"""The coordinator: the round loop, aggregation per branch, checkpoints, and `mmfed-server`."""
