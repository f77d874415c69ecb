"""Where faults began and which way they spread."""
