"""Clinical images: radiographs and other pictures of a patient, cut to the lesion and encoded."""
