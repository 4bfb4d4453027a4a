"""TCGA cohorts: from the Genomic Data Commons (GDC) to a cohort folder, and from barcodes to hospitals."""
