"""Collections of recordings that need not belong together: what is near what, and how well that is found."""
