"""From a hospital's raw files to its feature store, and the checks before and after."""
