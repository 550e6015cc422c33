"""Training, measuring and judging on mlx-lm: what needs the model."""
