"""A detection study at one site: pictures and drawn boxes in, a trained network and counts of found boxes out."""

__all__: list[str] = []
