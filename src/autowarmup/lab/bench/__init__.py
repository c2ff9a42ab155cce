"""The regret benchmark: which rule, left untuned, ends as low as the best hand-tuned one?"""
