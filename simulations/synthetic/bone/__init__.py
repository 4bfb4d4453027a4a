"""A synthetic bone-tumour cohort: radiographs, pathology and blood, each of which knows a part of the class."""
