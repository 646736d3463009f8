"""Families of models: one small file a group, each a reader of config fields."""
