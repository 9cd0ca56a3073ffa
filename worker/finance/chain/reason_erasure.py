"""The reasons of refunds: erased with the person whom the refunded charge is of."""

from storage.finance.chain import erasures
from storage.finance.chain.erasures import Erasure
from storage.licenses import licenses
from storage.refunds import credit_notes
from worker.finance.chain.keys import sealing_key
from worker.finance.chain.seals import erasure_seal
from worker.infrastructure.dependencies import Deps

_TABLE = "refunds"


def erase_reasons(deps: Deps, person_id: str, license_id: str | None) -> int:
    """Remove what people wrote when they refunded a person; how many reasons."""
    key_id, key = sealing_key(deps.keyring)
    with deps.database.transaction() as connection:
        charge_ids = erasures.reasons_of(connection, person_id, license_id)
        at = licenses.business_now(connection)
        for charge_id in charge_ids:
            seal = erasure_seal(key, _TABLE, charge_id, at)
            erasures.put(connection, Erasure(_TABLE, charge_id, at, key_id, seal))
        # Of notes that wait or were rejected, too.
        credit_notes.erase_words(connection, person_id, license_id)
    return len(charge_ids)
