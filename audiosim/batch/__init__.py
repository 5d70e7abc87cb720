"""Many pairs: who belongs to whom, the journal, worker processes."""
