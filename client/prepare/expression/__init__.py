"""Genomics: expression, mutations and copy number from the formats hospitals have, over the study's vocabulary."""
