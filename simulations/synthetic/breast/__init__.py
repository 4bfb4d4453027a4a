"""The synthetic breast-cancer cohort: slides, expression and clinical data of five intrinsic subtypes."""
