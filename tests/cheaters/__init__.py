"""Cheats and honest endings, and what the verifier makes of them."""
