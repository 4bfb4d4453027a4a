"""YOLO networks, their loss and their training elsewhere: the one package that imports ultralytics (AGPL-3.0)."""

__all__: list[str] = []
