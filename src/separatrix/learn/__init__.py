"""DOES IT LEARN: models trained from data. Importing this package does not import torch."""

from separatrix.learn.scoring import accuracy
from separatrix.learn.simple import Trained, train
from separatrix.learn.standard import initialise, one_layer

__all__ = ["Trained", "accuracy", "initialise", "one_layer", "train"]
