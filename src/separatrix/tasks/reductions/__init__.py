"""Maps from inputs of one task to inputs of another that keep the answer."""
