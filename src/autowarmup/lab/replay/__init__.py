"""What would a rule have done on my own run? Logs of any tool in, a sentence and a page out."""
