"""Gymnasium environments in which terminal agents break and repair real repositories."""
