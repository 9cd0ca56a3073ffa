"""Signatures are such that the libraries of either scheme verify them."""

import base64
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature

from worker.infrastructure.message_signatures import (
    SIGNATURE,
    new_secret,
    signed_headers,
)

BODY = '{"name": "Zoë"}'.encode()


def _now() -> int:
    return int(time.time())


def _text(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def test_either_library_verifies_what_a_new_secret_has_signed():
    secret = new_secret()
    headers = signed_headers([secret], "evt_1", _now(), BODY)
    assert Webhook(secret).verify(BODY, headers) == {"name": "Zoë"}
    assert WebhookSignature.verify_header(BODY, headers[SIGNATURE], secret, 300)


def test_another_secret_body_or_id_and_a_late_message_are_not_verified():
    secret, other = new_secret(), new_secret()
    right = signed_headers([secret], "evt_1", _now(), BODY)
    late = signed_headers([secret], "evt_1", _now() - 400, BODY)
    for headers, body, known in (
        (right, BODY, other),
        (right, BODY + b" ", secret),
        (right | {"webhook-id": "evt_2"}, BODY, secret),
        (late, BODY, secret),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(known).verify(body, headers)
    for headers, body, known in (
        (right, BODY, other),
        (right, BODY + b" ", secret),
        (late, BODY, secret),
    ):
        with pytest.raises(SignatureVerificationError):
            WebhookSignature.verify_header(body, headers[SIGNATURE], known, 300)


def test_each_secret_that_is_good_verifies_and_the_newest_comes_first():
    secrets = [new_secret() for _ in range(3)]
    headers = signed_headers(secrets, "evt_1", _now(), BODY)
    for secret in secrets:
        Webhook(secret).verify(BODY, headers)
        WebhookSignature.verify_header(BODY, headers[SIGNATURE], secret, 300)
    first = signed_headers(
        secrets[:1], "evt_1", int(headers["webhook-timestamp"]), BODY
    )
    for name in (SIGNATURE, "webhook-signature"):
        assert headers[name].startswith(first[name])


@pytest.mark.parametrize("size", [24, 25, 32, 64])
def test_a_secret_of_the_standards_own_sizes_is_signed_with_by_its_bytes(size):
    secret = _text(bytes(range(size)))
    headers = signed_headers([secret], "evt_1", _now(), BODY)
    Webhook(bytes(range(size))).verify(BODY, headers)


@pytest.mark.parametrize(
    "secret",
    [
        # As ours were: 32 bytes of base64url without padding, the text as the key.
        "whsec_" + "A" * 43,
        "whsec_-" + "A" * 41 + "_",
        _text(bytes(23)),
        _text(bytes(65)),
        _text(bytes(24)).removeprefix("whsec_"),
        _text(bytes(25)).rstrip("="),
        _text(bytes(25)).replace("A==", "B=="),
        _text(bytes(24)) + "\n",
        "whsec_",
        "whsec_ä",
        "free words of a customer",
    ],
)
def test_where_libraries_would_find_no_key_or_not_the_same_there_is_one_header(secret):
    headers = signed_headers([secret], "evt_1", _now(), BODY)
    assert list(headers) == [SIGNATURE]
    WebhookSignature.verify_header(BODY, headers[SIGNATURE], secret, 300)


def test_a_secret_of_old_signs_by_our_header_beside_a_new_one():
    old, new = "whsec_" + "A" * 43, new_secret()
    headers = signed_headers([new, old], "evt_1", _now(), BODY)
    assert headers["webhook-signature"].count("v1,") == 1
    Webhook(new).verify(BODY, headers)
    for secret in (old, new):
        WebhookSignature.verify_header(BODY, headers[SIGNATURE], secret, 300)
