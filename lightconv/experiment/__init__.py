"""Many networks, many seeds, one report: ``lightconv experiment``."""
