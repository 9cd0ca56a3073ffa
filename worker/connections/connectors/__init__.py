"""Who writes to CRMs, a folder each; start with `connector`, the protocol.

Imports `infrastructure` alone: connectors know neither storage nor limits nor each
other, the push around them does.
No transaction is open while a CRM is asked. Each writes our stable key into the CRM,
so that whatever is sent twice by it is there once.
"""
