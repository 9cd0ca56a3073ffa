"""What operators watch and steer: the overview, why a job waits, chunks, many jobs.

Imports `jobs` and `findings`; doors alone import it. Start with `overview`, then
`chunk_recall`.
"""
