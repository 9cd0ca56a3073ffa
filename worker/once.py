"""What makes a thing once: a note that is written in the transaction that makes it."""
