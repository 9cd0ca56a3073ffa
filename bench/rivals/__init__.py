"""What one would build or pick instead, and the floor: what cannot be beaten by much.

Imports `installations`, and the product: what it calls of it stands in `product`.
Start with `one_process`, the floor.
"""
