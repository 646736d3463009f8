"""WHO computes: models as NumPy values, and their plain evaluation."""

from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model

__all__ = ["Model", "evaluate"]
