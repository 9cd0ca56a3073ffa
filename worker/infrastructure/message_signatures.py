"""How messages to customers' endpoints are signed: the second, and an HMAC of both."""

import hashlib
import hmac


def signature(secret: str, unix_s: int, body: bytes) -> str:
    """What the header says: the second it was signed in, and the HMAC of both."""
    signed = f"{unix_s}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={digest}"
