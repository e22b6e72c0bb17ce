"""The checks of `bench validate`: what every task and every method must satisfy."""
