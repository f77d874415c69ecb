"""What is known of the plant: the live graph, what is strange in it, and where faults began and spread."""
