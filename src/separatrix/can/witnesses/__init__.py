"""One construction a file; importing this package registers them."""

from separatrix.can.witnesses import index_lookup_quadratic as index_lookup_quadratic
