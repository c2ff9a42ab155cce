from __future__ import annotations

import numpy as np
import pytest

from autowarmup.lab.train.tokens import ByteTokens, load_tokens, train_bpe, trained_size


def test_bytes_are_utf8():
    first, second = ByteTokens().encode(["aé", ""])
    assert first.tolist() == [97, 0xC3, 0xA9, 0]
    assert second.tolist() == [0]


def test_bpe_ends_documents_and_saves_as_a_tokenizers_file(tmp_path):
    tokens = train_bpe(["low lower lowest"] * 20, 270)
    assert tokens.size <= 270
    (numbers,) = tokens.encode(["lower"])
    assert numbers.dtype == np.uint16
    assert numbers[-1] == tokens.closing[0]
    assert tokens.tokenizer.decode(numbers.tolist()) == "lower"
    tokens.tokenizer.save(str(tmp_path / "own.json"))
    again = load_tokens(str(tmp_path / "own.json"))
    assert again.encode(["lower"])[0].tolist() == numbers.tolist()


def test_sizes():
    assert trained_size("bpe:4096") == 4096
    assert trained_size("bytes") is None
    for wrong in ("bpe:", "bpe:many", "bpe:100"):
        with pytest.raises(ValueError, match="expected bpe:SIZE with SIZE of at least 257"):
            trained_size(wrong)


def test_missing_tokenizer_file():
    with pytest.raises(ValueError, match='expected "bytes", "bpe:SIZE", a tokenizers JSON file'):
        load_tokens("nowhere.json")
