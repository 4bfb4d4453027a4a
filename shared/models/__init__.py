"""The registry of architectures: a name leads to one file with an options class and a model."""
