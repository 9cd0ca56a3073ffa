"""What operators ask for that is no verb of one job: of chunks, workers, many jobs.

Imports `worker.jobs`. Start with `chunk_recall`.
"""
