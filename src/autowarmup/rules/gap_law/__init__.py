"""The law of the gap (arXiv 2602.05813): where it peaks, and the rule that follows it."""
