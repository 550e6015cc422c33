"""Which examples stand in which split, and the proof that nothing leaks across."""
