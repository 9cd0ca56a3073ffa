"""Events, the webhooks that want to be told of them, and each delivery.

Imports no other folder: whoever causes an event puts it in. Start with `events`.
"""
