"""Scanner outputs to normalised findings: one module a format."""
