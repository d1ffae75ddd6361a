"""The documents of the retrieval example and the search in them, its tasks and score."""

import json
import re
from functools import cache
from pathlib import Path

import bm25s

DATA = Path(__file__).parent / "data" / "handbook"


def _lines(name: str) -> list[dict]:
    text = (DATA / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _shown(document: dict) -> str:
    return (
        f"[{document['number']}] {document['title']}, {document['staff']} staff, "
        f"{document['state']} {document['year']}. {document['text']}"
    )


@cache
def _index() -> tuple[bm25s.BM25, list[str]]:
    """The index, of the words of every document, and the documents."""
    documents = [_shown(document) for document in _lines("documents")]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(documents, show_progress=False), show_progress=False)
    return index, documents


def search(words: str, most: int = 4) -> list[str]:
    """The documents that match some words, the best first."""
    index, documents = _index()
    terms = bm25s.tokenize(words, show_progress=False)
    found, scores = index.retrieve(terms, k=most, show_progress=False)
    return [documents[i] for i, score in zip(found[0], scores[0], strict=True) if score > 0]


def score(task: dict, state: dict) -> float:
    """1.0 for the right answer with its document, 0.5 without it, else 0.0.

    Of the answer the last line with `Answer:` counts, whatever its case, blanks and punctuation.
    """
    said = re.findall(r"Answer:(.*)", state["answer"])
    cited = re.findall(r"\[(H\d+)\]", said[-1]) if said else []
    words = re.findall(r"\w+", re.sub(r"\[.*?\]", "", said[-1]).lower()) if said else []
    if words != task["answer"].split():
        return 0.0
    return 1.0 if cited == [task["document"]] else 0.5


def load_tasks(split: str) -> list[dict]:
    """The tasks of a split: `train`, `val` or `test`."""
    return _lines(split)
