"""A cohort of features alone: no pictures, so that hospitals of any size are written in seconds."""
