"""One construction a file; importing this package registers them."""

from separatrix.can.witnesses import index_lookup_chirp as index_lookup_chirp
from separatrix.can.witnesses import index_lookup_quadratic as index_lookup_quadratic
from separatrix.can.witnesses import index_lookup_random as index_lookup_random
from separatrix.can.witnesses import match2_circle as match2_circle
