"""What is made of results: rows, tallies, statistics, gates, summaries and explanations."""
