"""IS THIS MODEL RIGHT: provers (certificates for every input) and refuters (failing inputs)."""
