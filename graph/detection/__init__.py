"""What is strange: scores for the plant and each device, learnt from history without labels."""
