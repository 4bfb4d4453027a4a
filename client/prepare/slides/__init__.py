"""Slides: from every file that OpenSlide opens, and from features made elsewhere, to bags of patch features."""
