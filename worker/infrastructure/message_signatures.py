"""How messages to customers' endpoints are signed: by two schemes, side by side.

`Holdfast-Signature` is written as Stripe's is, and its key is the secret's whole text.
The three headers of Standard Webhooks (standardwebhooks.com, version 1.0.0) go beside
it wherever a secret is one as that standard writes it, for then any of its libraries
finds the same key: `whsec_` and the padded base64 of 24 to 64 bytes.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from secrets import token_bytes

SIGNATURE = "Holdfast-Signature"
"""The header that proves who sent a message, and when."""

_PREFIX = "whsec_"
_KEY_BYTES, _KEY_BYTES_MIN, _KEY_BYTES_MAX = 32, 24, 64


def new_secret() -> str:
    """A secret that both schemes can sign with."""
    key = token_bytes(_KEY_BYTES)
    return f"{_PREFIX}{base64.b64encode(key).decode()}"


def signed_headers(
    secrets: Sequence[str], message_id: str, unix_s: int, body: bytes
) -> dict[str, str]:
    """The headers that prove who sends a message, and when this attempt was made.

    One signature for each of the secrets: those that are good now, the newest first.
    The id is the message's, the same at each attempt, and has no full stop, which parts
    what is signed.
    """
    instant = str(unix_s)
    ours = [_hmac(one.encode(), instant, body=body).hex() for one in secrets]
    headers = {SIGNATURE: ",".join([f"t={instant}", *(f"v1={one}" for one in ours)])}
    keys = [key for key in map(_standard_key, secrets) if key is not None]
    if keys:
        theirs = [_hmac(key, message_id, instant, body=body) for key in keys]
        headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": instant,
            "webhook-signature": " ".join(
                f"v1,{base64.b64encode(one).decode()}" for one in theirs
            ),
        }
    return headers


def _standard_key(secret: str) -> bytes | None:
    """The key that Standard Webhooks reads in a secret; None where not all would."""
    encoded = secret.removeprefix(_PREFIX)
    if encoded == secret:
        return None
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    # Libraries differ on what is not written as it must be: some refuse it.
    is_exact = base64.b64encode(key).decode() == encoded
    return key if is_exact and _KEY_BYTES_MIN <= len(key) <= _KEY_BYTES_MAX else None


def _hmac(key: bytes, *parts: str, body: bytes) -> bytes:
    signed = b".".join([*(part.encode() for part in parts), body])
    return hmac.new(key, signed, hashlib.sha256).digest()
