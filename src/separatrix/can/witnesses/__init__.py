"""One construction a file; importing this package registers them."""

from separatrix.can.witnesses import associative_recall_quadratic as associative_recall_quadratic
from separatrix.can.witnesses import clauses_two_layer as clauses_two_layer
from separatrix.can.witnesses import disjointness_store as disjointness_store
from separatrix.can.witnesses import disjointness_two_layer as disjointness_two_layer
from separatrix.can.witnesses import dyck_elman as dyck_elman
from separatrix.can.witnesses import dyck_stack as dyck_stack
from separatrix.can.witnesses import dyck_three_layer as dyck_three_layer
from separatrix.can.witnesses import dyck_two_layer as dyck_two_layer
from separatrix.can.witnesses import equality_store as equality_store
from separatrix.can.witnesses import equality_two_layer as equality_two_layer
from separatrix.can.witnesses import index_lookup_chirp as index_lookup_chirp
from separatrix.can.witnesses import index_lookup_quadratic as index_lookup_quadratic
from separatrix.can.witnesses import index_lookup_random as index_lookup_random
from separatrix.can.witnesses import index_lookup_store as index_lookup_store
from separatrix.can.witnesses import k_hop_doubling as k_hop_doubling
from separatrix.can.witnesses import match2_circle as match2_circle
from separatrix.can.witnesses import match3_third_order as match3_third_order
from separatrix.can.witnesses import nearest_neighbour_recency as nearest_neighbour_recency
from separatrix.can.witnesses import positional_programs as positional_programs
from separatrix.can.witnesses import regular_elman as regular_elman
from separatrix.can.witnesses import sparse_averaging_chirp as sparse_averaging_chirp
from separatrix.can.witnesses import sparse_averaging_circle as sparse_averaging_circle
from separatrix.can.witnesses import sparse_averaging_moment as sparse_averaging_moment
from separatrix.can.witnesses import sparse_averaging_onehot as sparse_averaging_onehot
from separatrix.can.witnesses import sparse_averaging_random as sparse_averaging_random
from separatrix.can.witnesses import sparse_averaging_trigonometric as sparse_averaging_trigonometric
