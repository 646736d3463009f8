"""One theorem an entry, one task a file; importing this package registers them."""

from separatrix.cannot.ledger import index_lookup as index_lookup
