"""The benchmark: Holdfast beside its rivals and the floor, as ratios.

Imports its own folders alone; nothing of the product imports it. Start with `suite`,
which names all measurements, or with `docs/performance.md`.
"""
