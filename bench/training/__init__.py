"""Training of one cell in one process: the loop, blocks of seeds, checkpoints, and the final policy's second score."""
