"""The commands that run until they are stopped: API, worker, dispatcher, `up`.

Imports what each of them runs. Start with `up`, which starts the others.
"""
