"""What operators see and do, for API, console and command line alike.

Imports `infrastructure` alone, below it. Start with `counter_flush`.
"""
