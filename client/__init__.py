"""The hospital: from raw files to a feature store, local training, the gate, and `mmfed-client`."""
