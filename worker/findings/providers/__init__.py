"""Who finds e-mails and phones, one module each; start with `provider`, the protocol.

Imports `pricing` alone: providers know neither storage nor limits nor each other, the
waterfall around them does. No transaction is open while they are asked. Those that
answer in the response are `Immediate`, those that answer later, by webhook or when
polled, are `Deferred`.
"""
