"""The measurements, one a module: each runs its sides in turn and answers a section.

Imports `installations`, `rivals` and `report`, and nothing of the product. Start with
`session`, which they share, then `whole_export`.
"""
