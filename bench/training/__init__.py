"""One cell in one process: the training loop, its checkpoints, and the final policy scored again."""
