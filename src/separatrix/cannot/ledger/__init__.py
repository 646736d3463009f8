"""One theorem an entry, one task a file; importing this package registers them."""

from separatrix.cannot.ledger import index_lookup as index_lookup
from separatrix.cannot.ledger import match2 as match2
from separatrix.cannot.ledger import sparse_averaging as sparse_averaging
