"""Clinical images: from PNG, JPEG and DICOM to lesions, crops and features."""
