"""One theorem an entry, one task a file; importing this package registers them."""

from separatrix.cannot.ledger import automata as automata
from separatrix.cannot.ledger import clauses as clauses
from separatrix.cannot.ledger import composition as composition
from separatrix.cannot.ledger import counting as counting
from separatrix.cannot.ledger import dyck as dyck
from separatrix.cannot.ledger import fingerprint as fingerprint
from separatrix.cannot.ledger import formulas as formulas
from separatrix.cannot.ledger import halves as halves
from separatrix.cannot.ledger import index_lookup as index_lookup
from separatrix.cannot.ledger import k_hop as k_hop
from separatrix.cannot.ledger import lists as lists
from separatrix.cannot.ledger import match2 as match2
from separatrix.cannot.ledger import match3 as match3
from separatrix.cannot.ledger import match3_near as match3_near
from separatrix.cannot.ledger import match_sums as match_sums
from separatrix.cannot.ledger import pointer_chasing as pointer_chasing
from separatrix.cannot.ledger import recall as recall
from separatrix.cannot.ledger import relation_composition as relation_composition
from separatrix.cannot.ledger import sparse_averaging as sparse_averaging
from separatrix.cannot.ledger import sparse_propagation as sparse_propagation
