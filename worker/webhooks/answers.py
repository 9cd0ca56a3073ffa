"""What a webhook's answer means."""

ACCEPTED = range(200, 300)
"""The statuses by which an event counts as delivered."""
UNANSWERED = "unanswered"


def result_of(status: int) -> str:
    """The word that attempts with this status are counted by."""
    return "delivered" if status in ACCEPTED else "refused"
