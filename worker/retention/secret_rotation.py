"""Secret rotation: all of them encrypted with the first key, so that others can go."""

from storage.retention import secret_rotation
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.keyring import Undecipherable


def rotate(deps: Deps) -> int:
    """Encrypt all kept secrets anew; how many. The same again changes nothing known.

    Raises `NotConfigured` where one was encrypted with a key that is not there any
    more; then none has been changed.
    """
    with deps.database.transaction() as connection:
        sealed = secret_rotation.every(connection)
        try:
            fresh = [
                deps.keyring.encrypt(deps.keyring.decrypt(one.secret)) for one in sealed
            ]
        except Undecipherable as error:
            raise NotConfigured(f"HOLDFAST_SECRET_KEYS: {error}") from error
        return sum(
            secret_rotation.replace(connection, old, new)
            for old, new in zip(sealed, fresh, strict=True)
        )
