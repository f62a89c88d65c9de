"""Detection of chat models: by the fields of a list, then by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.providers.model_kinds import can_chat, can_see

CHATS = """
qwen3:8b
llama3.2:latest
gemma3:27b
models/gemini-2.5-flash
models/gemini-2.5-flash-image-preview
openai/gpt-oss-20b
gpt-4o-mini
gpt-4.1
chatgpt-4o-latest
o3-mini
claude-sonnet-4-5
mistral-large-latest
magistral-medium-latest
pixtral-12b
voxtral-small-latest
codestral-latest
meta-llama/Llama-3.3-70B-Instruct-Turbo
Qwen/Qwen2.5-VL-72B-Instruct
qwen2.5-coder-32b-instruct
deepseek-chat
deepseek-r1:1.5b
grok-4
command-r-plus
phi4:14b
smollm2:135m
granite3.3:8b
solar-pro
amazon.nova-pro-v1:0
kimi-k2-instruct
glm-4.6
@cf/meta/llama-3.1-8b-instruct
lab-1
"""

OTHERS = """
nomic-embed-text:latest
text-embedding-nomic-embed-text-v1.5
mxbai-embed-large
snowflake-arctic-embed2
models/embedding-gecko-001
models/text-embedding-004
models/aqa
models/imagen-4.0-generate-001
models/veo-3.0-generate-001
models/gemini-2.5-flash-preview-tts
models/gemini-2.0-flash-live-001
bge-m3:latest
BAAI/bge-reranker-v2-m3
@cf/baai/bge-base-en-v1.5
thenlper/gte-large
intfloat/multilingual-e5-large-instruct
E5-Mistral-7B-Instruct
all-minilm:22m
paraphrase-multilingual-MiniLM-L12
sentence-transformers/all-mpnet-base-v2
qwen3-reranker-4b
jina-reranker-v2
rerank-english-v3.0
voyage-3-large
whisper-large-v3-turbo
distil-whisper-large-v3-en
gpt-4o-transcribe
gpt-4o-mini-tts
gpt-4o-realtime-preview
tts-1-hd
playai-tts
canopylabs/orpheus-v1-english
hexgrad/Kokoro-82M
dall-e-3
gpt-image-1
grok-2-image-1212
black-forest-labs/FLUX.1-schnell
stabilityai/stable-diffusion-3.5-large
sora-2
omni-moderation-latest
mistral-moderation-latest
meta-llama/llama-guard-4-12b
meta-llama/llama-prompt-guard-2-22m
llama-guard3:8b
shieldgemma:2b
granite3-guardian
mistral-ocr-latest
davinci-002
*
openai/*
anthropic/*
cosyvoice-v2
paraformer-v2
sambert-zhichu-v1
FunAudioLLM/SenseVoiceSmall
RVC-Boss/GPT-SoVITS
IndexTeam/IndexTTS-2
Kwai-Kolors/Kolors
nvidia/nvclip
grok-imagine-video
wan2.2-t2v-plus
piper-voice
silero-vad
paraphrase-multilingual:latest
"""


@pytest.mark.parametrize("name", CHATS.split("\n")[1:-1])
def test_names_of_chat_models(name: str) -> None:
    assert can_chat({"id": name})


@pytest.mark.parametrize("name", OTHERS.split("\n")[1:-1])
def test_names_of_other_models(name: str) -> None:
    assert not can_chat({"id": name})


SAID: list[tuple[dict[str, Any], bool]] = [
    ({"capabilities": {"completion_chat": True, "vision": False}}, True),  # Mistral
    ({"capabilities": {"completion_chat": False, "ocr": True}}, False),
    ({"capabilities": {"chat_completion": False, "embeddings": True}}, False),  # Azure
    ({"capabilities": {"chat_completion": True, "fine_tune": False}}, True),
    ({"capabilities": ["completion", "tools", "vision"]}, True),  # Ollama
    ({"capabilities": ["embedding"]}, False),
    ({"capabilities": ["rerank"]}, False),  # Infinity
    ({"capabilities": ["vision", "audio"]}, True),
    ({"capabilities": {"type": "embeddings", "family": "x"}}, False),  # Copilot
    ({"capabilities": {"type": "chat"}}, True),
    ({"type": "llm"}, True),  # LM Studio
    ({"type": "vlm"}, True),
    ({"type": "embeddings"}, False),
    ({"type": "chat"}, True),  # Together
    ({"type": "language"}, True),
    ({"type": "image"}, False),
    ({"type": "transcribe"}, False),
    ({"type": "moderation"}, False),
    ({"type": "rerank"}, False),
    ({"type": "audio"}, False),
    ({"type": "model"}, True),
    ({"architecture": {"modality": "text+image->text"}}, True),  # OpenRouter
    ({"architecture": {"modality": "text->image"}}, False),
    (
        {"architecture": {"input_modalities": ["text"], "output_modalities": ["image", "text"]}},
        True,
    ),
    (
        {"architecture": {"input_modalities": ["text"], "output_modalities": ["embeddings"]}},
        False,
    ),
    ({"architecture": {"input_modalities": ["audio"], "output_modalities": ["text"]}}, False),
    ({"supported_output_modalities": ["embeddings"]}, False),  # GitHub Models
    ({"active": False}, False),  # Groq
    ({"supports_chat": False}, False),  # Fireworks
    ({"supports_chat": True}, True),
    ({"supportedGenerationMethods": ["generateContent", "countTokens"]}, True),  # Gemini
    ({"supportedGenerationMethods": ["embedContent"]}, False),
    ({"supportedGenerationMethods": ["predict"]}, False),
    ({"supportedGenerationMethods": ["bidiGenerateContent"]}, False),
    ({"endpoints": ["embed", "classify"]}, False),  # Cohere
    ({"endpoints": ["chat", "summarize"]}, True),
    ({"mode": "image_generation"}, False),  # LiteLLM
    ({"mode": "audio_transcription"}, False),
    ({"mode": "chat"}, True),
    ({"pipeline_tag": "text-generation"}, True),  # Hugging Face
    ({"pipeline_tag": "image-text-to-text"}, True),
    ({"pipeline_tag": "feature-extraction"}, False),
    ({"task": "text-to-speech"}, False),
    ({"task": "chat-completion"}, True),
    ({"model_type": "LLM", "model_ability": ["chat"]}, True),  # Xinference
    ({"model_type": "rerank"}, False),
    ({"categories": ["speech_to_text"]}, False),  # GPUStack
    ({"categories": ["llm"]}, True),
    ({"supported_endpoint_types": ["image-generation"]}, False),  # New API
    ({"supported_endpoint_types": ["openai"]}, True),
    ({"supported_endpoints": ["/chat/completions"]}, True),
]


@pytest.mark.parametrize(("said", "chats"), SAID)
def test_what_a_list_says(said: dict[str, Any], chats: bool) -> None:
    assert can_chat({"id": "some-name", **said}) is chats


def test_a_list_is_believed_about_a_picture_model_but_not_about_a_guard() -> None:
    says = {"type": "chat"}
    assert can_chat({"id": "flux-capacitor-llm", **says})
    assert not can_chat({"id": "llama-guard-4", **says})


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "capabilities", "architecture", "modality", "output_modalities", "task"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3) | st.just("type"), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_fields_of_any_type_are_survived(entry: dict[str, Any]) -> None:
    assert can_chat({**entry, "id": "m"}) in (True, False)


SEE = """
gpt-4o-mini
gpt-4.1
gpt-5-mini
chatgpt-4o-latest
o3
o4-mini
claude-sonnet-4-5
models/gemini-2.5-flash
gemma3:27b
pixtral-12b
llava:7b
Qwen/Qwen2.5-VL-72B-Instruct
meta-llama/Llama-3.2-11B-Vision-Instruct
meta-llama/Llama-4-Scout-17B-16E-Instruct
amazon.nova-pro-v1:0
"""

BLIND = """
gpt-3.5-turbo
openai/gpt-oss-20b
o3-mini
deepseek-chat
deepseek-r1:1.5b
smollm2:135m
codestral-latest
qwen2.5-coder-32b-instruct
meta-llama/Llama-3.3-70B-Instruct-Turbo
@cf/meta/llama-3.1-8b-instruct
mixtral-8x7b
"""


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        *((name, True) for name in SEE.split()),
        *((name, False) for name in BLIND.split()),
        *((name, None) for name in ("qwen3:8b", "my-model", "gemma3:1b", "lab-1")),
    ],
)
def test_names_tell_whether_a_model_sees(name: str, sees: bool | None) -> None:
    assert can_see({"id": name}) is sees


@pytest.mark.parametrize(
    ("said", "sees"),
    [
        ({"capabilities": {"vision": True, "completion_chat": True}}, True),
        ({"capabilities": {"vision": False}}, False),
        ({"capabilities": ["completion", "multimodal"]}, True),
        ({"capabilities": ["completion"]}, None),
        ({"architecture": {"input_modalities": ["text", "image"]}}, True),
        ({"architecture": {"input_modalities": ["text"]}}, False),
        ({"architecture": {"modality": "text+image->text"}}, True),
        ({"input_modalities": ["TEXT", "IMAGE"]}, True),
        ({"supports_image_in": True}, True),
        ({"type": "vlm"}, True),
        ({"capabilities": 3, "architecture": [], "modalities": None}, None),
    ],
)
def test_fields_tell_whether_a_model_sees(said: dict[str, Any], sees: bool | None) -> None:
    assert can_see({"id": "some-name", **said}) is sees
    if sees is not None:
        assert can_see({"id": "gpt-3.5" if sees else "gpt-4o", **said}) is sees
