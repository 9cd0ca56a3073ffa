"""A whole Holdfast on one machine: PostgreSQL, Valkey, API, worker, dispatcher.

Real servers from wheels, in a home folder, under one supervisor that restarts what
dies and leaves nothing behind. Nothing in the product knows that it runs here: all
it sees is the URLs. Imports `infrastructure` alone; start with `stack`.
"""
