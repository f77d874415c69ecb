"""Everything with weights: the temporal graph network, its training, and what is read from it."""
