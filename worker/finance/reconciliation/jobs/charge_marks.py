"""Marks on charges: a bit each, for a million of one job are held at once."""

_BITS = 1 << 16


class ChargeMarks:
    """A set of charges' ids, which mostly lie side by side."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many are marked."""
        return self._count

    def __contains__(self, charge_id: int) -> bool:
        """Whether one is marked."""
        page = self._pages.get(charge_id // _BITS)
        place = charge_id % _BITS
        return page is not None and bool(page[place >> 3] & (1 << (place & 7)))

    def add(self, charge_id: int) -> bool:
        """Mark one; whether it was not marked before."""
        page = self._pages.setdefault(charge_id // _BITS, bytearray(_BITS // 8))
        place = charge_id % _BITS
        bit = 1 << (place & 7)
        if page[place >> 3] & bit:
            return False
        page[place >> 3] |= bit
        self._count += 1
        return True
