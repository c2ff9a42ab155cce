from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autowarmup.lab.train import sources, token_cache
from autowarmup.lab.train.data import Corpus, load_corpus
from autowarmup.lab.train.sources import find_source, stream_rows
from autowarmup.lab.train.token_cache import is_validation

TEXTS = [f"document {n}: the quick brown fox jumps over dog number {n * n}" for n in range(200)]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOWARMUP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(path, tokenizer="bytes", **options):
    return load_corpus(str(path), tokenizer, **{"length": 8, "wanted": 10**6, **options})


def text_of(tokens):
    return bytes(tokens).decode().split("\0")


def test_standard_library_is_split_by_file():
    source = find_source("stdlib")
    names = [path.relative_to(source.root).as_posix() for path in source.files]
    assert names == sorted(names, key=Path)
    assert "argparse.py" in names
    folders = {part for name in names for part in Path(name).parts[:-1]}
    assert not folders & {"test", "tests", "idle_test", "site-packages", "__pycache__"}
    corpus = load("stdlib")
    total = len(corpus.train) + len(corpus.validation)
    assert total > 5e6
    assert 0.02 < len(corpus.validation) / total < 0.12
    side = corpus.validation if is_validation("argparse.py") else corpus.train
    own_text = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_bytes()[:300]
    assert own_text in side.tobytes()


def test_batches_are_a_function_of_seed_and_step():
    corpus = Corpus(np.arange(1000, dtype=np.uint16), np.arange(100, dtype=np.uint16), 1000)
    one = corpus.batch(seed=1, step=5, batch_size=6, length=10)
    assert one.shape == (6, 11)
    assert one.dtype == np.int64
    np.testing.assert_array_equal(np.diff(one), 1)  # windows of neighbours
    np.testing.assert_array_equal(one, corpus.batch(seed=1, step=5, batch_size=6, length=10))
    for other in ({"seed": 2, "step": 5}, {"seed": 1, "step": 6}, {"seed": 5, "step": 1}):
        assert (one != corpus.batch(**other, batch_size=6, length=10)).any()


def test_windows_reach_both_ends_and_not_beyond():
    corpus = Corpus(np.arange(12, dtype=np.uint8), np.arange(30, dtype=np.uint8), 256)
    many = corpus.batch(seed=0, step=0, batch_size=200, length=10)
    assert set(many[:, 0].tolist()) == {0, 1}
    assert many.max() == 11
    fixed = corpus.fixed_windows(count=4, length=10)
    assert fixed[:, 0].tolist() == [0, 6, 12, 19]
    assert fixed[-1, -1] == 29


def test_directory_of_texts_keeps_documents_whole(tmp_path):
    for number, text in enumerate(TEXTS):
        (tmp_path / "texts" / f"{number % 3}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / f"{number % 3}" / f"{number}.txt").write_text(text)
    (tmp_path / "texts" / "picture.png").write_bytes(b"\0\1")
    corpus = load(tmp_path / "texts")
    sides = [set(text_of(side)) - {""} for side in (corpus.train, corpus.validation)]
    assert sides[0] | sides[1] == set(TEXTS)
    assert not sides[0] & sides[1]
    assert 0 < len(sides[1]) < len(sides[0])


def test_json_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(json.dumps({"text": text, "id": 1}) for text in TEXTS))
    corpus = load(path)
    assert set(text_of(corpus.train) + text_of(corpus.validation)) - {""} == set(TEXTS)


@pytest.fixture
def parquet(tmp_path):
    """A small file with the columns of FineWeb."""
    columns = {
        "text": TEXTS,
        "id": [f"<urn:uuid:{n}>" for n in range(len(TEXTS))],
        "dump": ["CC-MAIN-2013-20"] * len(TEXTS),
        "url": ["http://example.org"] * len(TEXTS),
        "language_score": [0.9] * len(TEXTS),
        "token_count": [len(text) for text in TEXTS],
    }
    path = tmp_path / "000_00000.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=50)
    return path


def test_parquet_streams_in_order(parquet):
    assert list(stream_rows("parquet", data_files=str(parquet))) == TEXTS


def test_parquet_file(parquet):
    corpus = load(parquet)
    assert set(text_of(corpus.train) + text_of(corpus.validation)) - {""} == set(TEXTS)


def test_fineweb_stops_when_it_has_enough(parquet, monkeypatch):
    local = {"path": "parquet", "data_files": str(parquet)}
    assert sources.FINEWEB == {"path": "HuggingFaceFW/fineweb", "name": "sample-10BT"}
    monkeypatch.setattr(sources, "FINEWEB", local)
    monkeypatch.setattr(token_cache, "ENCODED_AT_ONCE", 10)
    told = []
    corpus = load("fineweb", wanted=2000, tell=told.append)
    assert 2000 <= len(corpus.train) < 3000
    assert told == sorted(told)
    assert told[-1] == len(corpus.train)
    assert text_of(corpus.train)[0] == next(
        text for n, text in enumerate(TEXTS) if not is_validation(f"fineweb:{n}")
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("t.bin", "uint16"), ("t.uint8.bin", "uint8"), ("t.uint32.bin", "uint32"), ("t.npy", "uint8")],
)
def test_token_files_are_mapped(tmp_path, name, kind):
    tokens = np.arange(200).astype(kind)
    if name.endswith("npy"):
        np.save(tmp_path / name, tokens)
    else:
        tokens.tofile(tmp_path / name)
    corpus = load(tmp_path / name)
    assert isinstance(corpus.train, np.memmap)
    np.testing.assert_array_equal(np.concatenate([corpus.train, corpus.validation]), tokens)
    assert len(corpus.validation) == 12
    assert corpus.vocabulary == 200


def test_tokens_are_made_once(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text("some text to learn from " * 40)
    first = load(path)
    monkeypatch.setattr(token_cache, "_make", lambda *_: pytest.fail("made again"))
    second = load(path)
    np.testing.assert_array_equal(first.train, second.train)
    monkeypatch.undo()


def test_changed_and_damaged_corpora_are_made_again(tmp_path, cache):
    path = tmp_path / "text.txt"
    path.write_text("some text to learn from " * 40)
    before = load(path).train.tobytes()
    path.write_text("another text to learn from " * 40)
    after = load(path).train.tobytes()
    assert before != after
    for made in cache.glob("*/train.npy"):
        made.write_bytes(made.read_bytes()[:10])  # a disk that lost the end
    assert load(path).train.tobytes() == after
    assert not list(cache.glob("*.tmp-*"))


def test_trained_bpe_is_deterministic(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    corpus = load(path, "bpe:300")
    assert corpus.vocabulary == 300
    assert corpus.train.dtype == np.uint16
    assert len(corpus.train) < 0.6 * sum(map(len, TEXTS))
    copied = corpus.train.tobytes()
    path.touch()  # a new time: tokens are made again
    assert load(path, "bpe:300").train.tobytes() == copied


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", "", "expected more than 8 tokens"),
        ("short.txt", "tiny", "expected more than 8 tokens"),
        ("empty.bin", "", "expected more than 8 tokens"),
        ("bad.jsonl", '{"text": "a"}\n{oops}\n', "line 2: expected a JSON object, got '{oops}"),
        ("other.jsonl", '{"content": "a"}\n', 'line 1: expected a text column "text", got content'),
    ],
)
def test_unusable_files(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        load(tmp_path / name)


def test_missing_and_empty_places(tmp_path):
    with pytest.raises(ValueError, match='expected "stdlib", "fineweb" or an existing file'):
        load(tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="expected at least one file"):
        load(tmp_path / "nothing")


def test_token_files_of_the_wrong_shape(tmp_path):
    np.save(tmp_path / "square.npy", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"expected a flat array.*got shape \(4, 4\) of float64"):
        load(tmp_path / "square.npy")


def test_full_disk_leaves_no_half_corpus(tmp_path, cache, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text("some text to learn from " * 40)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ValueError, match=r"could not write tokens.*No space left"):
        load(path)
    assert list(cache.iterdir()) == []
