"""The theorems of both papers as code that is checked: objectives, runs, bounds, verification."""
