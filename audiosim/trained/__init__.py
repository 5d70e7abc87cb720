"""Networks that others have trained: where their weights lie, how they are read, and what is computed with them."""
