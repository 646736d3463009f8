"""Provers, registered by name; each decides a model, or says that it cannot."""

from separatrix.verify.provers import automaton as automaton
from separatrix.verify.provers import contract as contract
from separatrix.verify.provers import exhaustive as exhaustive
from separatrix.verify.provers import heads as heads
from separatrix.verify.provers import pairs as pairs
from separatrix.verify.provers import pointer_sets as pointer_sets
from separatrix.verify.provers import positional as positional
from separatrix.verify.provers import real_outputs as real_outputs
from separatrix.verify.provers import relu as relu
from separatrix.verify.provers import senders as senders
from separatrix.verify.provers import separable as separable
from separatrix.verify.provers import stored as stored
from separatrix.verify.provers import tuples as tuples
from separatrix.verify.provers.examine import Examination, answers, examine
from separatrix.verify.provers.limits import within
from separatrix.verify.provers.outcome import Outcome, certify, registry

__all__ = ["Examination", "Outcome", "answers", "certify", "examine", "registry", "within"]
