from __future__ import annotations

import json
import sqlite3
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import agl_adapters as agl
from agl_adapters.testing import Fault, SimulatedModel, simulated_model
from agl_core.credentials import Credentials, without_credentials
from agl_core.faults.failures import traceback_text
from agl_core.privacy.redaction import Redaction, clean_error

KEY = "sk-proj-Abc123_def456-Ghi789"
OWN = "zq81-internal-token-77aa"

SECRETS = {
    f"use {KEY} now": "use [secret] now",
    f'{{"a": "line\\n{KEY}"}}': '{"a": "line\\n[secret]"}',
    "Incorrect API key provided: sk-abcd*****wxyz.": "Incorrect API key provided: [secret]",
    f"Authorization: Bearer {OWN}": "Authorization: [secret]",
    "{'authorization': 'Bearer abcdef123'}": "{'authorization': 'Bearer [secret]'}",
    '{"Authorization": "Basic abcdef123="}': '{"Authorization": "Basic [secret]"}',
    '"{\\"api-key\\": \\"abcdef123\\"}"': '"{\\"api-key\\": \\"[secret]\\"}"',
    "sent bearer abcdef123.xyz": "sent bearer [secret]",
    "api_key=abcdef123, model=x": "api_key=[secret], model=x",
    "http://user:pass@host/v1": "http://[secret]@host/v1",
    "https://host/v1?api-key=abc&x=1": "https://host/v1?api-key=[secret]&x=1",
    "https://host/?a=1&token=abc": "https://host/?a=1&token=[secret]",
    "AKIAABCDEFGHIJKLMNOP": "[secret]",
    "ghp_abcdefghijklmnopqrstuvwx": "[secret]",
    f"my {OWN}!": "my [secret]!",
}


@pytest.mark.parametrize(("text", "clean"), SECRETS.items())
def test_a_credential_is_taken_out(text: str, clean: str) -> None:
    removed = Credentials({"MY_SERVICE_TOKEN": OWN}).removed(text)
    assert removed.startswith(clean.split("[secret]")[0])
    assert "[secret]" in removed
    for secret in (KEY, OWN, "abcdef123", "pass@", "abc&", "=abc", "wxyz", "AKIAA", "ghp_a"):
        assert secret not in removed
    assert Credentials({}).removed(removed) == removed


@pytest.mark.parametrize(
    "text",
    [
        "the task-12345678 is a risk-assessment, on disk-0000000001",
        "authorization: see the manual",
        "What is the key to a good meeting? The token economy; a secret sign.",
        "at http://127.0.0.1:8000/v1?q=keys, mailto:a@b.c, 10:30@noon",
        "The bearer of this letter",
        "Use bearer authentication. Authorization: required, api_key=YOUR_API_KEY",
        "curl -H 'Authorization: Bearer <your_token1>' -H 'api-key: ${API_KEY_1}' -d {key}",
        '{"role": "user", "content": "api: x"}',
        "simulated",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    known = {
        "OPENAI_API_KEY": "simulated",
        "KEYBOARD": OWN,
        "SHORT_KEY": "a1",
        "A_KEY": "plainword",
    }
    assert Credentials(known).removed(text) == text


def test_data_is_searched_through_and_keeps_its_form() -> None:
    data = {"a": [1, None, f"x {KEY}"], f"k {KEY}": {"b": (True, 2.5)}}
    cleaned = Redaction().data(data)
    assert cleaned == {"a": [1, None, "x [secret]"], "k [secret]": {"b": [True, 2.5]}}


def test_long_texts_take_no_long_time() -> None:
    start = time.process_time()
    for text in ("a" * 1_000_000, "key: " * 200_000, "://" * 300_000, "sk-" * 300_000):
        without_credentials(text)
    assert time.process_time() - start < 30  # for ever is longer


def test_errors_that_are_shown_hold_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", OWN)
    for secret in (KEY, OWN):
        assert secret not in str(agl.ModelError(f"refused: {secret}"))
        assert secret not in traceback_text(ValueError(f"refused: {secret}"))
        assert secret not in traceback_text(ValueError("a" * 3_990 + f" {secret} " + "b" * 9_000))
        with pytest.raises(agl.ModelError) as shown:
            raise agl.ModelError("no") from clean_error(ValueError(f"refused: {secret}"))
        assert secret not in "".join(traceback.format_exception(shown.value))


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with simulated_model("echo", set_environment=False) as model:
        yield model


class TestRun:
    """A whole run with agents that let slip what they know, over real HTTP."""

    @staticmethod
    def stored(path: Path) -> str:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            dump = "\n".join(db.iterdump())
        db.close()
        return dump + path.read_bytes().decode("latin-1")

    def test_nothing_that_is_kept_or_said_holds_a_key(
        self, model: SimulatedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_SERVICE_TOKEN", OWN)
        said: list[str] = []

        class Told(agl.Callback):
            def on_warning(self, message: str) -> None:
                said.append(message)

            def on_rollout(self, rollout: Any, cached: bool) -> None:
                said.append(json.dumps(rollout.to_json()))

            def on_candidate(self, candidate: Any, score: float | None) -> None:
                said.append(str(candidate))

        address = model.base_url.replace("http://", "http://user:passw0rd@")

        @agl.rollout
        def agent(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
            headers = {"x-note": f"Bearer {OWN}"}
            with openai.OpenAI(api_key=KEY, base_url=address, default_headers=headers) as client:
                answer = client.chat.completions.create(
                    model="gpt-4o",
                    messages=[
                        {"role": "system", "content": prompt.format()},
                        {"role": "user", "content": f"the answer is\n{OWN} and {KEY}"},
                    ],
                )
            if task["n"] % 2:
                raise ValueError(f"401 for {address}?api-key={OWN}: {client.api_key}")
            return agl.Reward(0.5, f"said {answer.choices[0].message.content} {KEY}")

        store = tmp_path / "runs.db"
        trainer = agl.Trainer(
            agl.Baseline(), initial_resources={"prompt": "Hi."}, store=store, callbacks=[Told()]
        )
        result = trainer.fit(agent, [{"n": n} for n in range(4)])
        assert result.seed_score == 0.25  # the scores are what they are
        assert OWN in json.dumps([request.users for request in model.log()])  # so is what is sent
        trainer.store.close()
        kept = self.stored(store) + "\n".join(said) + result.report()
        assert "[secret]" in kept
        assert "the answer is" in kept
        for secret in (KEY, OWN, "passw0rd"):
            assert secret not in kept

    def test_a_refusal_names_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @agl.rollout
        def agent(task: Any, prompt: agl.PromptTemplate) -> float:
            response = httpx2.Response(401, request=httpx2.Request("POST", "http://localhost"))
            text = f"Incorrect API key provided: {KEY}"
            raise openai.AuthenticationError(text, response=response, body=None)

        with pytest.raises(agl.ModelError, match="refused") as refused:
            agl.Trainer(agl.Baseline(), initial_resources={"prompt": "Hi."}).fit(agent, [1, 2])
        assert KEY not in "".join(traceback.format_exception(refused.value))

    def test_the_optimizers_client_names_no_key_either(self, model: SimulatedModel) -> None:
        model.configure(faults=[Fault("401")])
        client = openai.AsyncOpenAI(
            api_key=KEY, base_url=model.base_url.replace("//", "//u:passw0rd@")
        )
        trainer = agl.Trainer(agl.APO(), initial_resources={"prompt": "Hi."}, client=client)
        with pytest.raises(agl.ModelError) as refused:
            trainer.fit(agl.rollout(lambda task, prompt: 0.0 * len(prompt.format())), [1, 2])
        text = "".join(traceback.format_exception(refused.value))
        assert KEY not in text
        assert "passw0rd" not in text
