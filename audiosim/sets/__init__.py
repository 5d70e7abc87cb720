"""Sets of recordings: what they are like, and how far one lies from another."""
