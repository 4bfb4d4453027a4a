"""What the coordinator and the hospitals must agree on: files, messages, models, tasks, metrics."""

__version__ = "0.1.0"
