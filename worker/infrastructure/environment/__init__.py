"""How settings are read from the environment, by a few types and bounds.

Imports nothing of ours. Every process reads settings and few validate anything else: a
library for it would be 10 MB of each. Start with `settings_reader`.
"""
