"""Bounds for any task: communication matrices at small n."""
